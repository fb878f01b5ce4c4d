DROP TABLE promptlooper_export.revoked_tokens;
DROP TABLE promptlooper_export.grants;

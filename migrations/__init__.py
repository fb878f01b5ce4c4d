"""SQL migrations, shipped as package data of promptlooper_export."""

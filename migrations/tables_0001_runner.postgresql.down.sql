DROP TABLE stage_results;
DROP TABLE scores;
DROP TABLE runs;
DROP TABLE experiments;

BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v3.0.0.d');
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'old');
CREATE TABLE study_directions (
	study_direction_id INTEGER NOT NULL, 
	direction VARCHAR(8) NOT NULL, 
	study_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	PRIMARY KEY (study_direction_id), 
	UNIQUE (study_id, objective), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_directions" VALUES(1,'MAXIMIZE',1,0);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_system_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_user_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE trial_heartbeats (
	trial_heartbeat_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	heartbeat DATETIME NOT NULL, 
	PRIMARY KEY (trial_heartbeat_id), 
	UNIQUE (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_intermediate_values (
	trial_intermediate_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	intermediate_value FLOAT, 
	intermediate_value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_intermediate_value_id), 
	UNIQUE (trial_id, step), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_intermediate_values" VALUES(1,1,1,4.48711680712693239403e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(2,1,2,8.97423361425386478806e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(3,2,1,3.98083333921921689313e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(4,2,2,7.96166667843843378626e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(5,3,1,4.14221589191225703086e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(6,3,2,8.28443178382451406172e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(7,4,1,4.49347546322481916636e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(8,4,2,8.98695092644963833272e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(9,5,1,4.49990381347451728899e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(10,5,2,8.99980762694903457799e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(11,6,1,0.389298383429507,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(12,6,2,0.778596766859014,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(13,7,1,4.08937690388715691103e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(14,7,2,8.17875380777431382206e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(15,8,1,3.93376512676265777113e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(16,8,2,7.86753025352531554226e-01,'FINITE');
CREATE TABLE trial_params (
	param_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	param_name VARCHAR(512), 
	param_value FLOAT, 
	distribution_json TEXT, 
	PRIMARY KEY (param_id), 
	UNIQUE (trial_id, param_name), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_params" VALUES(1,1,'optimizer',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(2,1,'lr',2.57663857461358884737e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 1.0, "log": true}}');
INSERT INTO "trial_params" VALUES(3,2,'optimizer',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(4,2,'lr',3.83333215615666300646e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 1.0, "log": true}}');
INSERT INTO "trial_params" VALUES(5,3,'optimizer',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(6,3,'lr',7.15568216175486271346e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 1.0, "log": true}}');
INSERT INTO "trial_params" VALUES(7,4,'optimizer',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(8,4,'lr',1.30490735503623941221e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 1.0, "log": true}}');
INSERT INTO "trial_params" VALUES(9,5,'optimizer',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(10,5,'lr',1.92373050965465079925e-04,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 1.0, "log": true}}');
INSERT INTO "trial_params" VALUES(11,6,'optimizer',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(12,6,'lr',2.14032331409860610005e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 1.0, "log": true}}');
INSERT INTO "trial_params" VALUES(13,7,'optimizer',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(14,7,'lr',8.21246192225686399979e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 1.0, "log": true}}');
INSERT INTO "trial_params" VALUES(15,8,'optimizer',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(16,8,'lr',1.3246974647468437447e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 1.0, "log": true}}');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_user_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_values (
	trial_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	value FLOAT, 
	value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_value_id), 
	UNIQUE (trial_id, objective), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_values" VALUES(1,1,0,8.97423361425386478806e-01,'FINITE');
INSERT INTO "trial_values" VALUES(2,2,0,7.96166667843843378626e-01,'FINITE');
INSERT INTO "trial_values" VALUES(3,3,0,8.28443178382451406172e-01,'FINITE');
INSERT INTO "trial_values" VALUES(4,4,0,8.98695092644963833272e-01,'FINITE');
INSERT INTO "trial_values" VALUES(5,5,0,8.99980762694903457799e-01,'FINITE');
INSERT INTO "trial_values" VALUES(6,6,0,0.778596766859014,'FINITE');
INSERT INTO "trial_values" VALUES(7,7,0,8.17875380777431382206e-01,'FINITE');
INSERT INTO "trial_values" VALUES(8,8,0,7.86753025352531554226e-01,'FINITE');
CREATE TABLE trials (
	trial_id INTEGER NOT NULL, 
	number INTEGER, 
	study_id INTEGER, 
	state VARCHAR(8) NOT NULL, 
	datetime_start DATETIME, 
	datetime_complete DATETIME, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "trials" VALUES(1,0,1,'COMPLETE','2026-11-22 18:36:15.938618','2026-11-22 18:36:15.976328');
INSERT INTO "trials" VALUES(2,1,1,'COMPLETE','2026-11-22 18:36:16.005688','2026-11-22 18:36:16.066639');
INSERT INTO "trials" VALUES(3,2,1,'COMPLETE','2026-11-22 18:36:16.084226','2026-11-22 18:36:16.113387');
INSERT INTO "trials" VALUES(4,3,1,'COMPLETE','2026-11-22 18:36:16.133471','2026-11-22 18:36:16.157812');
INSERT INTO "trials" VALUES(5,4,1,'COMPLETE','2026-11-22 18:36:16.169235','2026-11-22 18:36:16.188298');
INSERT INTO "trials" VALUES(6,5,1,'COMPLETE','2026-11-22 18:36:16.203947','2026-11-22 18:36:16.221898');
INSERT INTO "trials" VALUES(7,6,1,'COMPLETE','2026-11-22 18:36:16.234483','2026-11-22 18:36:16.254883');
INSERT INTO "trials" VALUES(8,7,1,'COMPLETE','2026-11-22 18:36:16.276527','2026-11-22 18:36:16.306293');
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL, 
	schema_version INTEGER, 
	library_version VARCHAR(256), 
	PRIMARY KEY (version_info_id), 
	CHECK (version_info_id=1)
);
INSERT INTO "version_info" VALUES(1,12,'3.0.6');
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
COMMIT;

BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v3.2.0.a');
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'toy:confirm');
INSERT INTO "studies" VALUES(2,'toy');
INSERT INTO "studies" VALUES(3,'begun:confirm');
INSERT INTO "studies" VALUES(4,'begun');
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
INSERT INTO "study_directions" VALUES(2,'MAXIMIZE',2,0);
INSERT INTO "study_directions" VALUES(3,'MAXIMIZE',3,0);
INSERT INTO "study_directions" VALUES(4,'MAXIMIZE',4,0);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_system_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_system_attributes" VALUES(1,1,'study:metric_names','["accuracy"]');
INSERT INTO "study_system_attributes" VALUES(2,1,'bakeoff:state','{"finished": false, "search_ended": false, "notes": [], "runs": {}, "check": "96f503944efa408e9b43020b9b97c575"}');
INSERT INTO "study_system_attributes" VALUES(3,1,'bakeoff:study','{"format": 2, "id": "0679b2a9752446228f1345ac2bfa7ca3", "config": "[study]\nname = \"toy\"\nquestion = \"Which optimizer suits mlp on digits?\"\nseed = 3\nobjective = \"accuracy\"\nscore = \"best_epoch\"\ncompare = [\n    \"optimizer\",\n]\n\n[data]\ndataset = \"digits\"\ntask = \"classification\"\nvalidation_fraction = 0.2\naugment = []\n\n[model]\nmodel = \"mlp\"\nwidth = 16\ndepth = 1\ndropout = 0.0\n\n[training]\nepochs = 4\nbatch_size = 64\nprecision = \"fp32\"\nloss = \"cross_entropy\"\naccumulation_steps = 1\nlabel_smoothing = 0.0\nclass_weights = \"none\"\nsampling = \"shuffled\"\nfocal_gamma = 0.0\nmixup_alpha = 0.0\ncutmix_alpha = 0.0\nema_decay = 0.0\n\n[search]\noptimizers = [\n    \"sgd\",\n    \"adam\",\n]\nschedulers = [\n    \"constant\",\n]\ntrials_per_arm = 4\nsampler = \"tpe\"\npruner = \"median\"\nstartup_trials = 2\npruner_startup_trials = 1\naudit = 0.1\ngrid_points = 3\ndefaults = true\nrepeats = 1\n\n[space.sgd.learning_rate]\nlow = 0.0001\nhigh = 5.0\nlog = true\n\n[space.sgd.momentum]\nlow = 0.0\nhigh = 0.99\nlog_from_one = true\n\n[space.sgd.weight_decay]\nlow = 1e-06\nhigh = 0.01\nlog = true\n\n[space.adam.learning_rate]\nlow = 1e-05\nhigh = 0.1\nlog = true\n\n[space.adam.weight_decay]\nlow = 1e-06\nhigh = 0.01\nlog = true\n\n[space.adam.beta1]\nlow = 0.8\nhigh = 0.99\nlog = false\n\n[space.constant.warmup_fraction]\nlow = 0.0\nhigh = 0.3\nlog = false\n\n[confirm]\nseeds = 2\nshortlist = 1\nshortlist_seeds = 1\nrepeat_seeds = 2\nlooks = []\nresplit = false\n\n[tracking]\ntensorboard = false\n", "facts": {"metric": {"name": "accuracy", "direction": "maximize", "low": 0.0, "high": 1.0, "title": "", "unit": "", "is_mean_over_samples": false}, "chance_score": 0.1, "num_validation": 100, "num_test": 100, "data_fingerprint": "none", "precision": "fp32", "threads": 1, "num_train": null, "test_is_reserved": false, "protocol": {}, "environment": {}}, "check": "d419efaee9dd9ce5340eb4e96337e59f"}');
INSERT INTO "study_system_attributes" VALUES(4,2,'study:metric_names','["accuracy"]');
INSERT INTO "study_system_attributes" VALUES(5,2,'bakeoff:state','{"finished": true, "search_ended": false, "notes": [], "runs": {"search": 10, "confirm": 8}, "check": "44109bdac256ea350160c82b743381a8"}');
INSERT INTO "study_system_attributes" VALUES(6,2,'bakeoff:study','{"format": 2, "id": "0679b2a9752446228f1345ac2bfa7ca3", "config": "[study]\nname = \"toy\"\nquestion = \"Which optimizer suits mlp on digits?\"\nseed = 3\nobjective = \"accuracy\"\nscore = \"best_epoch\"\ncompare = [\n    \"optimizer\",\n]\n\n[data]\ndataset = \"digits\"\ntask = \"classification\"\nvalidation_fraction = 0.2\naugment = []\n\n[model]\nmodel = \"mlp\"\nwidth = 16\ndepth = 1\ndropout = 0.0\n\n[training]\nepochs = 4\nbatch_size = 64\nprecision = \"fp32\"\nloss = \"cross_entropy\"\naccumulation_steps = 1\nlabel_smoothing = 0.0\nclass_weights = \"none\"\nsampling = \"shuffled\"\nfocal_gamma = 0.0\nmixup_alpha = 0.0\ncutmix_alpha = 0.0\nema_decay = 0.0\n\n[search]\noptimizers = [\n    \"sgd\",\n    \"adam\",\n]\nschedulers = [\n    \"constant\",\n]\ntrials_per_arm = 4\nsampler = \"tpe\"\npruner = \"median\"\nstartup_trials = 2\npruner_startup_trials = 1\naudit = 0.1\ngrid_points = 3\ndefaults = true\nrepeats = 1\n\n[space.sgd.learning_rate]\nlow = 0.0001\nhigh = 5.0\nlog = true\n\n[space.sgd.momentum]\nlow = 0.0\nhigh = 0.99\nlog_from_one = true\n\n[space.sgd.weight_decay]\nlow = 1e-06\nhigh = 0.01\nlog = true\n\n[space.adam.learning_rate]\nlow = 1e-05\nhigh = 0.1\nlog = true\n\n[space.adam.weight_decay]\nlow = 1e-06\nhigh = 0.01\nlog = true\n\n[space.adam.beta1]\nlow = 0.8\nhigh = 0.99\nlog = false\n\n[space.constant.warmup_fraction]\nlow = 0.0\nhigh = 0.3\nlog = false\n\n[confirm]\nseeds = 2\nshortlist = 1\nshortlist_seeds = 1\nrepeat_seeds = 2\nlooks = []\nresplit = false\n\n[tracking]\ntensorboard = false\n", "facts": {"metric": {"name": "accuracy", "direction": "maximize", "low": 0.0, "high": 1.0, "title": "", "unit": "", "is_mean_over_samples": false}, "chance_score": 0.1, "num_validation": 100, "num_test": 100, "data_fingerprint": "none", "precision": "fp32", "threads": 1, "num_train": null, "test_is_reserved": false, "protocol": {}, "environment": {}}, "check": "d419efaee9dd9ce5340eb4e96337e59f"}');
INSERT INTO "study_system_attributes" VALUES(7,3,'study:metric_names','["accuracy"]');
INSERT INTO "study_system_attributes" VALUES(8,3,'bakeoff:state','{"finished": false, "search_ended": false, "notes": [], "runs": {}, "check": "96f503944efa408e9b43020b9b97c575"}');
INSERT INTO "study_system_attributes" VALUES(9,3,'bakeoff:study','{"format": 2, "id": "57e236938fe74c28bf7428562df74d7b", "config": "[study]\nname = \"begun\"\nquestion = \"Which optimizer suits mlp on digits?\"\nseed = 3\nobjective = \"accuracy\"\nscore = \"best_epoch\"\ncompare = [\n    \"optimizer\",\n]\n\n[data]\ndataset = \"digits\"\ntask = \"classification\"\nvalidation_fraction = 0.2\naugment = []\n\n[model]\nmodel = \"mlp\"\nwidth = 16\ndepth = 1\ndropout = 0.0\n\n[training]\nepochs = 4\nbatch_size = 64\nprecision = \"fp32\"\nloss = \"cross_entropy\"\naccumulation_steps = 1\nlabel_smoothing = 0.0\nclass_weights = \"none\"\nsampling = \"shuffled\"\nfocal_gamma = 0.0\nmixup_alpha = 0.0\ncutmix_alpha = 0.0\nema_decay = 0.0\n\n[search]\noptimizers = [\n    \"sgd\",\n    \"adam\",\n]\nschedulers = [\n    \"constant\",\n]\ntrials_per_arm = 8\nsampler = \"tpe\"\npruner = \"halving\"\nstartup_trials = 2\npruner_startup_trials = 1\naudit = 0.3\ngrid_points = 3\ndefaults = true\nrepeats = 1\n\n[space.sgd.learning_rate]\nlow = 0.0001\nhigh = 5.0\nlog = true\n\n[space.sgd.momentum]\nlow = 0.0\nhigh = 0.99\nlog_from_one = true\n\n[space.sgd.weight_decay]\nlow = 1e-06\nhigh = 0.01\nlog = true\n\n[space.adam.learning_rate]\nlow = 1e-05\nhigh = 0.1\nlog = true\n\n[space.adam.weight_decay]\nlow = 1e-06\nhigh = 0.01\nlog = true\n\n[space.adam.beta1]\nlow = 0.8\nhigh = 0.99\nlog = false\n\n[space.constant.warmup_fraction]\nlow = 0.0\nhigh = 0.3\nlog = false\n\n[confirm]\nseeds = 2\nshortlist = 2\nshortlist_seeds = 2\nrepeat_seeds = 2\nlooks = []\nresplit = false\n\n[tracking]\ntensorboard = false\n", "facts": {"metric": {"name": "accuracy", "direction": "maximize", "low": 0.0, "high": 1.0, "title": "", "unit": "", "is_mean_over_samples": false}, "chance_score": 0.1, "num_validation": 100, "num_test": 100, "data_fingerprint": "none", "precision": "fp32", "threads": 1, "num_train": null, "test_is_reserved": false, "protocol": {}, "environment": {}}, "check": "646b4789c1e3465403b1fec09826b2c7"}');
INSERT INTO "study_system_attributes" VALUES(10,4,'study:metric_names','["accuracy"]');
INSERT INTO "study_system_attributes" VALUES(11,4,'bakeoff:state','{"finished": false, "search_ended": false, "notes": [], "runs": {}, "check": "96f503944efa408e9b43020b9b97c575"}');
INSERT INTO "study_system_attributes" VALUES(12,4,'bakeoff:study','{"format": 2, "id": "57e236938fe74c28bf7428562df74d7b", "config": "[study]\nname = \"begun\"\nquestion = \"Which optimizer suits mlp on digits?\"\nseed = 3\nobjective = \"accuracy\"\nscore = \"best_epoch\"\ncompare = [\n    \"optimizer\",\n]\n\n[data]\ndataset = \"digits\"\ntask = \"classification\"\nvalidation_fraction = 0.2\naugment = []\n\n[model]\nmodel = \"mlp\"\nwidth = 16\ndepth = 1\ndropout = 0.0\n\n[training]\nepochs = 4\nbatch_size = 64\nprecision = \"fp32\"\nloss = \"cross_entropy\"\naccumulation_steps = 1\nlabel_smoothing = 0.0\nclass_weights = \"none\"\nsampling = \"shuffled\"\nfocal_gamma = 0.0\nmixup_alpha = 0.0\ncutmix_alpha = 0.0\nema_decay = 0.0\n\n[search]\noptimizers = [\n    \"sgd\",\n    \"adam\",\n]\nschedulers = [\n    \"constant\",\n]\ntrials_per_arm = 8\nsampler = \"tpe\"\npruner = \"halving\"\nstartup_trials = 2\npruner_startup_trials = 1\naudit = 0.3\ngrid_points = 3\ndefaults = true\nrepeats = 1\n\n[space.sgd.learning_rate]\nlow = 0.0001\nhigh = 5.0\nlog = true\n\n[space.sgd.momentum]\nlow = 0.0\nhigh = 0.99\nlog_from_one = true\n\n[space.sgd.weight_decay]\nlow = 1e-06\nhigh = 0.01\nlog = true\n\n[space.adam.learning_rate]\nlow = 1e-05\nhigh = 0.1\nlog = true\n\n[space.adam.weight_decay]\nlow = 1e-06\nhigh = 0.01\nlog = true\n\n[space.adam.beta1]\nlow = 0.8\nhigh = 0.99\nlog = false\n\n[space.constant.warmup_fraction]\nlow = 0.0\nhigh = 0.3\nlog = false\n\n[confirm]\nseeds = 2\nshortlist = 2\nshortlist_seeds = 2\nrepeat_seeds = 2\nlooks = []\nresplit = false\n\n[tracking]\ntensorboard = false\n", "facts": {"metric": {"name": "accuracy", "direction": "maximize", "low": 0.0, "high": 1.0, "title": "", "unit": "", "is_mean_over_samples": false}, "chance_score": 0.1, "num_validation": 100, "num_test": 100, "data_fingerprint": "none", "precision": "fp32", "threads": 1, "num_train": null, "test_is_reserved": false, "protocol": {}, "environment": {}}, "check": "646b4789c1e3465403b1fec09826b2c7"}');
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_user_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_user_attributes" VALUES(1,2,'finished','true');
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
INSERT INTO "trial_intermediate_values" VALUES(1,1,1,3.99999999999999966693e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(2,1,2,0.6,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(3,1,3,0.7,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(4,1,4,7.49999999999999888977e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(5,2,1,3.99999999999999966693e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(6,2,2,0.6,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(7,2,3,0.7,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(8,2,4,7.49999999999999888977e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(9,3,1,4.5766812339365370299e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(10,3,2,6.86202185090480587525e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(11,3,3,8.00469215938894085304e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(12,3,4,8.57602731363100723172e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(13,4,1,2.6631306286297229402e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(14,4,2,3.9916959429445847407e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(15,4,3,4.6559786001020153634e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(16,4,4,4.98811992868073039719e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(17,6,1,4.51177106877392042338e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(18,6,2,0.676515660316088,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(19,6,3,0.789184937035436,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(20,6,4,0.84551957539511,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(21,7,1,4.35415986746412797536e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(22,7,2,6.52823980119619284856e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(23,8,1,4.57944163144253790775e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(24,8,2,6.86616244716380719204e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(25,8,3,8.00952285502444238929e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(26,8,4,8.5812030589547594328e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(27,9,1,4.33155017987226720332e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(28,9,2,6.49432526980840196806e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(29,9,3,7.57571281477646851776e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(30,9,4,8.11640658726050179261e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(31,10,1,0.473629485255414,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(32,10,2,0.710144227883121,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(33,10,3,8.28401599196974536276e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(34,10,4,8.87530284853901285657e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(35,11,1,4.5736812339365373603e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(36,11,2,6.85902185090480509543e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(37,11,3,0.800169215938894,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(38,11,4,8.57302731363100645189e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(39,12,1,0.473329485255414,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(40,12,2,0.709844227883121,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(41,12,3,8.28101599196974458294e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(42,12,4,8.87230284853901207675e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(43,13,1,4.5736812339365373603e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(44,13,2,6.85902185090480509543e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(45,13,3,0.800169215938894,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(46,13,4,8.57302731363100645189e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(47,14,1,0.473329485255414,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(48,14,2,0.709844227883121,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(49,14,3,8.28101599196974458294e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(50,14,4,8.87230284853901207675e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(51,15,1,0.4003,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(52,15,2,0.6003,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(53,15,3,7.0029999999999992255e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(54,15,4,7.50299999999999855937e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(55,16,1,0.4003,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(56,16,2,0.6003,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(57,16,3,7.0029999999999992255e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(58,16,4,7.50299999999999855937e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(59,17,1,0.4003,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(60,17,2,0.6003,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(61,17,3,7.0029999999999992255e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(62,17,4,7.50299999999999855937e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(63,18,1,0.4003,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(64,18,2,0.6003,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(65,18,3,7.0029999999999992255e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(66,18,4,7.50299999999999855937e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(67,19,1,3.99999999999999966693e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(68,20,1,3.99999999999999966693e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(69,19,2,0.6,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(70,20,2,0.6,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(71,19,3,0.7,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(72,20,3,0.7,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(73,19,4,7.49999999999999888977e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(74,20,4,7.49999999999999888977e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(75,21,1,4.5766812339365370299e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(76,22,1,2.6631306286297229402e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(77,21,2,6.86202185090480587525e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(78,22,2,3.9916959429445847407e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(79,23,1,4.20076851349023894233e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(80,24,1,4.51177106877392042338e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(81,23,2,6.29865277023535785616e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(82,24,2,0.676515660316088,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(83,25,1,4.35415986746412797536e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(84,26,1,4.57944163144253790775e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(85,25,2,6.52823980119619284856e-01,'FINITE');
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
INSERT INTO "trial_params" VALUES(1,1,'optimizer',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(2,1,'scheduler',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant"]}}');
INSERT INTO "trial_params" VALUES(3,1,'sgd.learning_rate',0.001,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 5.0, "log": true}}');
INSERT INTO "trial_params" VALUES(4,1,'sgd.momentum',0.0,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.99, "log": false}}');
INSERT INTO "trial_params" VALUES(5,1,'constant.warmup_fraction',0.0,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.3, "log": false}}');
INSERT INTO "trial_params" VALUES(6,2,'optimizer',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(7,2,'scheduler',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant"]}}');
INSERT INTO "trial_params" VALUES(8,2,'adam.learning_rate',0.001,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(9,2,'adam.beta1',0.9,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.8, "high": 0.99, "log": false}}');
INSERT INTO "trial_params" VALUES(10,2,'constant.warmup_fraction',0.0,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.3, "log": false}}');
INSERT INTO "trial_params" VALUES(11,3,'optimizer',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(12,3,'scheduler',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant"]}}');
INSERT INTO "trial_params" VALUES(13,3,'sgd.learning_rate',5.76644709530258099683e-03,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 5.0, "log": true}}');
INSERT INTO "trial_params" VALUES(14,3,'sgd.momentum',7.97819256189197467676e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.99, "log": false}}');
INSERT INTO "trial_params" VALUES(15,3,'sgd.weight_decay',3.15721384734276916059e-03,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.01, "log": true}}');
INSERT INTO "trial_params" VALUES(16,3,'constant.warmup_fraction',6.7360094060966352325e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.3, "log": false}}');
INSERT INTO "trial_params" VALUES(17,4,'optimizer',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(18,4,'scheduler',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant"]}}');
INSERT INTO "trial_params" VALUES(19,4,'adam.learning_rate',1.61997198763929951053e-05,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(20,4,'adam.weight_decay',2.56629218431514885653e-05,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.01, "log": true}}');
INSERT INTO "trial_params" VALUES(21,4,'adam.beta1',0.850559929141497,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.8, "high": 0.99, "log": false}}');
INSERT INTO "trial_params" VALUES(22,4,'constant.warmup_fraction',3.7752918027205803475e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.3, "log": false}}');
INSERT INTO "trial_params" VALUES(23,5,'optimizer',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(24,5,'scheduler',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant"]}}');
INSERT INTO "trial_params" VALUES(25,5,'sgd.learning_rate',5.48245802557689940193e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 5.0, "log": true}}');
INSERT INTO "trial_params" VALUES(26,5,'sgd.momentum',9.57684739607981061482e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.99, "log": false}}');
INSERT INTO "trial_params" VALUES(27,5,'sgd.weight_decay',1.88480350875854153367e-04,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.01, "log": true}}');
INSERT INTO "trial_params" VALUES(28,5,'constant.warmup_fraction',1.76273444468193180023e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.3, "log": false}}');
INSERT INTO "trial_params" VALUES(29,6,'optimizer',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(30,6,'scheduler',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant"]}}');
INSERT INTO "trial_params" VALUES(31,6,'adam.learning_rate',4.73908783837113673637e-03,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(32,6,'adam.weight_decay',3.75391660106954875566e-06,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.01, "log": true}}');
INSERT INTO "trial_params" VALUES(33,6,'adam.beta1',8.66374115560790802881e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.8, "high": 0.99, "log": false}}');
INSERT INTO "trial_params" VALUES(34,6,'constant.warmup_fraction',1.09477674284649259539e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.3, "log": false}}');
INSERT INTO "trial_params" VALUES(35,7,'optimizer',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(36,7,'scheduler',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant"]}}');
INSERT INTO "trial_params" VALUES(37,7,'sgd.learning_rate',2.91214608142944262128e-03,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 5.0, "log": true}}');
INSERT INTO "trial_params" VALUES(38,7,'sgd.momentum',6.01482516800164845882e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.99, "log": false}}');
INSERT INTO "trial_params" VALUES(39,7,'sgd.weight_decay',7.66116563685154713762e-04,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.01, "log": true}}');
INSERT INTO "trial_params" VALUES(40,7,'constant.warmup_fraction',9.02428491583417563548e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.3, "log": false}}');
INSERT INTO "trial_params" VALUES(41,8,'optimizer',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(42,8,'scheduler',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant"]}}');
INSERT INTO "trial_params" VALUES(43,8,'adam.learning_rate',0.00581552386037904,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(44,8,'adam.weight_decay',1.08517169385899127473e-06,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.01, "log": true}}');
INSERT INTO "trial_params" VALUES(45,8,'adam.beta1',0.855554846418547,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.8, "high": 0.99, "log": false}}');
INSERT INTO "trial_params" VALUES(46,8,'constant.warmup_fraction',1.21051026940504471984e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.3, "log": false}}');
INSERT INTO "trial_params" VALUES(47,9,'optimizer',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(48,9,'scheduler',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant"]}}');
INSERT INTO "trial_params" VALUES(49,9,'sgd.learning_rate',3.68072264833837134445e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 5.0, "log": true}}');
INSERT INTO "trial_params" VALUES(50,9,'sgd.momentum',7.37070110708578529745e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.99, "log": false}}');
INSERT INTO "trial_params" VALUES(51,9,'sgd.weight_decay',3.85480939924031902957e-03,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.01, "log": true}}');
INSERT INTO "trial_params" VALUES(52,9,'constant.warmup_fraction',3.67149426113435387031e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.3, "log": false}}');
INSERT INTO "trial_params" VALUES(53,10,'optimizer',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(54,10,'scheduler',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant"]}}');
INSERT INTO "trial_params" VALUES(55,10,'adam.learning_rate',1.0623644512162362663e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(56,10,'adam.weight_decay',1.10419975640753096615e-06,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.01, "log": true}}');
INSERT INTO "trial_params" VALUES(57,10,'adam.beta1',8.23117486418490473809e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.8, "high": 0.99, "log": false}}');
INSERT INTO "trial_params" VALUES(58,10,'constant.warmup_fraction',1.8952507016713102117e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.3, "log": false}}');
INSERT INTO "trial_params" VALUES(59,11,'optimizer',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(60,11,'scheduler',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant"]}}');
INSERT INTO "trial_params" VALUES(61,11,'sgd.learning_rate',5.76644709530258099683e-03,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 5.0, "log": true}}');
INSERT INTO "trial_params" VALUES(62,11,'sgd.momentum',7.97819256189197467676e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.99, "log": false}}');
INSERT INTO "trial_params" VALUES(63,11,'sgd.weight_decay',3.15721384734276916059e-03,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.01, "log": true}}');
INSERT INTO "trial_params" VALUES(64,11,'constant.warmup_fraction',6.7360094060966352325e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.3, "log": false}}');
INSERT INTO "trial_params" VALUES(65,12,'optimizer',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(66,12,'scheduler',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant"]}}');
INSERT INTO "trial_params" VALUES(67,12,'adam.learning_rate',1.0623644512162362663e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(68,12,'adam.weight_decay',1.10419975640753096615e-06,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.01, "log": true}}');
INSERT INTO "trial_params" VALUES(69,12,'adam.beta1',8.23117486418490473809e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.8, "high": 0.99, "log": false}}');
INSERT INTO "trial_params" VALUES(70,12,'constant.warmup_fraction',1.8952507016713102117e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.3, "log": false}}');
INSERT INTO "trial_params" VALUES(71,13,'optimizer',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(72,13,'scheduler',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant"]}}');
INSERT INTO "trial_params" VALUES(73,13,'sgd.learning_rate',5.76644709530258099683e-03,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 5.0, "log": true}}');
INSERT INTO "trial_params" VALUES(74,13,'sgd.momentum',7.97819256189197467676e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.99, "log": false}}');
INSERT INTO "trial_params" VALUES(75,13,'sgd.weight_decay',3.15721384734276916059e-03,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.01, "log": true}}');
INSERT INTO "trial_params" VALUES(76,13,'constant.warmup_fraction',6.7360094060966352325e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.3, "log": false}}');
INSERT INTO "trial_params" VALUES(77,14,'optimizer',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(78,14,'scheduler',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant"]}}');
INSERT INTO "trial_params" VALUES(79,14,'adam.learning_rate',1.0623644512162362663e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(80,14,'adam.weight_decay',1.10419975640753096615e-06,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.01, "log": true}}');
INSERT INTO "trial_params" VALUES(81,14,'adam.beta1',8.23117486418490473809e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.8, "high": 0.99, "log": false}}');
INSERT INTO "trial_params" VALUES(82,14,'constant.warmup_fraction',1.8952507016713102117e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.3, "log": false}}');
INSERT INTO "trial_params" VALUES(83,15,'optimizer',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(84,15,'scheduler',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant"]}}');
INSERT INTO "trial_params" VALUES(85,15,'sgd.learning_rate',0.001,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 5.0, "log": true}}');
INSERT INTO "trial_params" VALUES(86,15,'sgd.momentum',0.0,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.99, "log": false}}');
INSERT INTO "trial_params" VALUES(87,15,'constant.warmup_fraction',0.0,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.3, "log": false}}');
INSERT INTO "trial_params" VALUES(88,16,'optimizer',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(89,16,'scheduler',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant"]}}');
INSERT INTO "trial_params" VALUES(90,16,'adam.learning_rate',0.001,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(91,16,'adam.beta1',0.9,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.8, "high": 0.99, "log": false}}');
INSERT INTO "trial_params" VALUES(92,16,'constant.warmup_fraction',0.0,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.3, "log": false}}');
INSERT INTO "trial_params" VALUES(93,17,'optimizer',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(94,17,'scheduler',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant"]}}');
INSERT INTO "trial_params" VALUES(95,17,'sgd.learning_rate',0.001,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 5.0, "log": true}}');
INSERT INTO "trial_params" VALUES(96,17,'sgd.momentum',0.0,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.99, "log": false}}');
INSERT INTO "trial_params" VALUES(97,17,'constant.warmup_fraction',0.0,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.3, "log": false}}');
INSERT INTO "trial_params" VALUES(98,18,'optimizer',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(99,18,'scheduler',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant"]}}');
INSERT INTO "trial_params" VALUES(100,18,'adam.learning_rate',0.001,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(101,18,'adam.beta1',0.9,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.8, "high": 0.99, "log": false}}');
INSERT INTO "trial_params" VALUES(102,18,'constant.warmup_fraction',0.0,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.3, "log": false}}');
INSERT INTO "trial_params" VALUES(103,19,'optimizer',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(104,19,'scheduler',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant"]}}');
INSERT INTO "trial_params" VALUES(105,19,'sgd.learning_rate',0.001,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 5.0, "log": true}}');
INSERT INTO "trial_params" VALUES(106,19,'sgd.momentum',0.0,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.99, "log": false}}');
INSERT INTO "trial_params" VALUES(107,19,'constant.warmup_fraction',0.0,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.3, "log": false}}');
INSERT INTO "trial_params" VALUES(108,20,'optimizer',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(109,20,'scheduler',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant"]}}');
INSERT INTO "trial_params" VALUES(110,20,'adam.learning_rate',0.001,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(111,20,'adam.beta1',0.9,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.8, "high": 0.99, "log": false}}');
INSERT INTO "trial_params" VALUES(112,20,'constant.warmup_fraction',0.0,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.3, "log": false}}');
INSERT INTO "trial_params" VALUES(113,21,'optimizer',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(114,21,'scheduler',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant"]}}');
INSERT INTO "trial_params" VALUES(115,21,'sgd.learning_rate',5.76644709530258099683e-03,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 5.0, "log": true}}');
INSERT INTO "trial_params" VALUES(116,21,'sgd.momentum',7.97819256189197467676e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.99, "log": false}}');
INSERT INTO "trial_params" VALUES(117,21,'sgd.weight_decay',3.15721384734276916059e-03,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.01, "log": true}}');
INSERT INTO "trial_params" VALUES(118,21,'constant.warmup_fraction',6.7360094060966352325e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.3, "log": false}}');
INSERT INTO "trial_params" VALUES(119,22,'optimizer',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(120,22,'scheduler',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant"]}}');
INSERT INTO "trial_params" VALUES(121,22,'adam.learning_rate',1.61997198763929951053e-05,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(122,22,'adam.weight_decay',2.56629218431514885653e-05,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.01, "log": true}}');
INSERT INTO "trial_params" VALUES(123,22,'adam.beta1',0.850559929141497,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.8, "high": 0.99, "log": false}}');
INSERT INTO "trial_params" VALUES(124,22,'constant.warmup_fraction',3.7752918027205803475e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.3, "log": false}}');
INSERT INTO "trial_params" VALUES(125,23,'optimizer',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(126,23,'scheduler',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant"]}}');
INSERT INTO "trial_params" VALUES(127,23,'sgd.learning_rate',5.48245802557689940193e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 5.0, "log": true}}');
INSERT INTO "trial_params" VALUES(128,23,'sgd.momentum',9.57684739607981061482e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.99, "log": false}}');
INSERT INTO "trial_params" VALUES(129,23,'sgd.weight_decay',1.88480350875854153367e-04,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.01, "log": true}}');
INSERT INTO "trial_params" VALUES(130,23,'constant.warmup_fraction',1.76273444468193180023e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.3, "log": false}}');
INSERT INTO "trial_params" VALUES(131,24,'optimizer',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(132,24,'scheduler',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant"]}}');
INSERT INTO "trial_params" VALUES(133,24,'adam.learning_rate',4.73908783837113673637e-03,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(134,24,'adam.weight_decay',3.75391660106954875566e-06,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.01, "log": true}}');
INSERT INTO "trial_params" VALUES(135,24,'adam.beta1',8.66374115560790802881e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.8, "high": 0.99, "log": false}}');
INSERT INTO "trial_params" VALUES(136,24,'constant.warmup_fraction',1.09477674284649259539e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.3, "log": false}}');
INSERT INTO "trial_params" VALUES(137,25,'optimizer',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(138,25,'scheduler',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant"]}}');
INSERT INTO "trial_params" VALUES(139,25,'sgd.learning_rate',2.91214608142944262128e-03,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 5.0, "log": true}}');
INSERT INTO "trial_params" VALUES(140,25,'sgd.momentum',6.01482516800164845882e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.99, "log": false}}');
INSERT INTO "trial_params" VALUES(141,25,'sgd.weight_decay',7.66116563685154713762e-04,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.01, "log": true}}');
INSERT INTO "trial_params" VALUES(142,25,'constant.warmup_fraction',9.02428491583417563548e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.3, "log": false}}');
INSERT INTO "trial_params" VALUES(143,26,'optimizer',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(144,26,'scheduler',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant"]}}');
INSERT INTO "trial_params" VALUES(145,26,'adam.learning_rate',0.00581552386037904,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(146,26,'adam.weight_decay',1.08517169385899127473e-06,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.01, "log": true}}');
INSERT INTO "trial_params" VALUES(147,26,'adam.beta1',0.855554846418547,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.8, "high": 0.99, "log": false}}');
INSERT INTO "trial_params" VALUES(148,26,'constant.warmup_fraction',1.21051026940504471984e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.3, "log": false}}');
INSERT INTO "trial_params" VALUES(149,27,'optimizer',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adam"]}}');
INSERT INTO "trial_params" VALUES(150,27,'scheduler',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant"]}}');
INSERT INTO "trial_params" VALUES(151,27,'sgd.learning_rate',3.68072264833837134445e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 5.0, "log": true}}');
INSERT INTO "trial_params" VALUES(152,27,'sgd.momentum',7.37070110708578529745e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.99, "log": false}}');
INSERT INTO "trial_params" VALUES(153,27,'sgd.weight_decay',3.85480939924031902957e-03,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.01, "log": true}}');
INSERT INTO "trial_params" VALUES(154,27,'constant.warmup_fraction',3.67149426113435387031e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 0.3, "log": false}}');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_system_attributes" VALUES(1,1,'bakeoff:plan','{"purpose": "search", "configuration": null, "params": {"optimizer": "sgd", "scheduler": "constant", "sgd.learning_rate": 0.001, "sgd.momentum": 0.0, "sgd.weight_decay": 0.0, "constant.warmup_fraction": 0.0}, "epochs": 4, "decisions": []}');
INSERT INTO "trial_system_attributes" VALUES(2,1,'bakeoff:check-begun','"a74aa32b11c3401419d2f7b4e39a19a5"');
INSERT INTO "trial_system_attributes" VALUES(3,1,'bakeoff:result','{"outcome": "complete", "score": 0.7499999999999999, "further_scores": {}, "stop_reason": "", "attempts": 1, "test_metrics": {}, "history": [{"epoch": 1, "metrics": {"accuracy": 0.39999999999999997}, "train_loss": 0.6000000000000001, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 2, "metrics": {"accuracy": 0.6}, "train_loss": 0.4, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 3, "metrics": {"accuracy": 0.7}, "train_loss": 0.30000000000000004, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 4, "metrics": {"accuracy": 0.7499999999999999}, "train_loss": 0.2500000000000001, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "finished", "confusion": []}]}');
INSERT INTO "trial_system_attributes" VALUES(4,1,'bakeoff:check-ended','"593d88bf69cab2aa173c43fc8c9a29d5"');
INSERT INTO "trial_system_attributes" VALUES(5,2,'bakeoff:plan','{"purpose": "search", "configuration": null, "params": {"optimizer": "adam", "scheduler": "constant", "adam.learning_rate": 0.001, "adam.weight_decay": 0.0, "adam.beta1": 0.9, "constant.warmup_fraction": 0.0}, "epochs": 4, "decisions": []}');
INSERT INTO "trial_system_attributes" VALUES(6,2,'bakeoff:check-begun','"91ac7c41241d0f6f487c2101fd6ef099"');
INSERT INTO "trial_system_attributes" VALUES(7,2,'bakeoff:result','{"outcome": "complete", "score": 0.7499999999999999, "further_scores": {}, "stop_reason": "", "attempts": 1, "test_metrics": {}, "history": [{"epoch": 1, "metrics": {"accuracy": 0.39999999999999997}, "train_loss": 0.6000000000000001, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 2, "metrics": {"accuracy": 0.6}, "train_loss": 0.4, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 3, "metrics": {"accuracy": 0.7}, "train_loss": 0.30000000000000004, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 4, "metrics": {"accuracy": 0.7499999999999999}, "train_loss": 0.2500000000000001, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "finished", "confusion": []}]}');
INSERT INTO "trial_system_attributes" VALUES(8,2,'bakeoff:check-ended','"98ac9504cd2dfd194d385a309dc1b479"');
INSERT INTO "trial_system_attributes" VALUES(9,3,'bakeoff:plan','{"purpose": "search", "configuration": null, "params": {"optimizer": "sgd", "scheduler": "constant", "sgd.learning_rate": 0.005766447095302581, "sgd.momentum": 0.7978192561891975, "sgd.weight_decay": 0.003157213847342769, "constant.warmup_fraction": 0.06736009406096635}, "epochs": 4, "decisions": [2, 3]}');
INSERT INTO "trial_system_attributes" VALUES(10,3,'bakeoff:check-begun','"1b0af96ef76b4a1576ea9b31bd200a8c"');
INSERT INTO "trial_system_attributes" VALUES(11,3,'bakeoff:result','{"outcome": "complete", "score": 0.8576027313631007, "further_scores": {}, "stop_reason": "", "attempts": 1, "test_metrics": {}, "history": [{"epoch": 1, "metrics": {"accuracy": 0.4576681233936537}, "train_loss": 0.5423318766063463, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 2, "metrics": {"accuracy": 0.6862021850904806}, "train_loss": 0.3137978149095194, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 3, "metrics": {"accuracy": 0.8004692159388941}, "train_loss": 0.19953078406110591, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 4, "metrics": {"accuracy": 0.8576027313631007}, "train_loss": 0.14239726863689928, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "finished", "confusion": []}]}');
INSERT INTO "trial_system_attributes" VALUES(12,3,'bakeoff:check-ended','"8a18854203669960ab5c1c6164a635cb"');
INSERT INTO "trial_system_attributes" VALUES(13,4,'bakeoff:plan','{"purpose": "search", "configuration": null, "params": {"optimizer": "adam", "scheduler": "constant", "adam.learning_rate": 1.6199719876392995e-05, "adam.weight_decay": 2.566292184315149e-05, "adam.beta1": 0.850559929141497, "constant.warmup_fraction": 0.037752918027205803}, "epochs": 4, "decisions": [2, 3]}');
INSERT INTO "trial_system_attributes" VALUES(14,4,'bakeoff:check-begun','"34f6b9907ac8a9b82662949e5449105b"');
INSERT INTO "trial_system_attributes" VALUES(15,4,'bakeoff:losses','{"attempt": 2, "losses": 1, "epoch": 1, "check": "4bb9633ca77f53a29d500c66234a995b"}');
INSERT INTO "trial_system_attributes" VALUES(16,4,'bakeoff:result','{"outcome": "complete", "score": 0.49881199286807304, "further_scores": {}, "stop_reason": "", "attempts": 2, "test_metrics": {}, "history": [{"epoch": 1, "metrics": {"accuracy": 0.2663130628629723}, "train_loss": 0.7336869371370277, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 2, "metrics": {"accuracy": 0.3991695942944585}, "train_loss": 0.6008304057055416, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 3, "metrics": {"accuracy": 0.46559786001020154}, "train_loss": 0.5344021399897985, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 4, "metrics": {"accuracy": 0.49881199286807304}, "train_loss": 0.501188007131927, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "finished", "confusion": []}]}');
INSERT INTO "trial_system_attributes" VALUES(17,4,'bakeoff:check-ended','"91d0bb894564a05b33fcdb287b368f7b"');
INSERT INTO "trial_system_attributes" VALUES(18,5,'bakeoff:plan','{"purpose": "search", "configuration": null, "params": {"optimizer": "sgd", "scheduler": "constant", "sgd.learning_rate": 0.054824580255768994, "sgd.momentum": 0.9576847396079811, "sgd.weight_decay": 0.00018848035087585415, "constant.warmup_fraction": 0.17627344446819318}, "epochs": 4, "decisions": [2, 3]}');
INSERT INTO "trial_system_attributes" VALUES(19,5,'bakeoff:check-begun','"50039bf10d15e9d65431949380ff8045"');
INSERT INTO "trial_system_attributes" VALUES(20,5,'bakeoff:result','{"outcome": "diverged", "score": 0.1, "further_scores": {}, "stop_reason": "not finite in epoch 1", "attempts": 1, "test_metrics": {}, "history": [{"epoch": 1, "metrics": {"accuracy": null}, "train_loss": null, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "diverged", "confusion": []}]}');
INSERT INTO "trial_system_attributes" VALUES(21,5,'bakeoff:check-ended','"e639c3ca08888be9a847692ae44113cd"');
INSERT INTO "trial_system_attributes" VALUES(22,6,'bakeoff:plan','{"purpose": "search", "configuration": null, "params": {"optimizer": "adam", "scheduler": "constant", "adam.learning_rate": 0.004739087838371137, "adam.weight_decay": 3.7539166010695488e-06, "adam.beta1": 0.8663741155607908, "constant.warmup_fraction": 0.10947767428464926}, "epochs": 4, "decisions": [2, 3]}');
INSERT INTO "trial_system_attributes" VALUES(23,6,'bakeoff:check-begun','"0f2b1f9115a22f0fb56aa44505b727e4"');
INSERT INTO "trial_system_attributes" VALUES(24,6,'bakeoff:result','{"outcome": "complete", "score": 0.84551957539511, "further_scores": {}, "stop_reason": "", "attempts": 1, "test_metrics": {}, "history": [{"epoch": 1, "metrics": {"accuracy": 0.45117710687739204}, "train_loss": 0.548822893122608, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 2, "metrics": {"accuracy": 0.676515660316088}, "train_loss": 0.323484339683912, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 3, "metrics": {"accuracy": 0.789184937035436}, "train_loss": 0.21081506296456398, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 4, "metrics": {"accuracy": 0.84551957539511}, "train_loss": 0.15448042460488998, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "finished", "confusion": []}]}');
INSERT INTO "trial_system_attributes" VALUES(25,6,'bakeoff:check-ended','"9f678e4c0553b7d5151c66e3ff80244a"');
INSERT INTO "trial_system_attributes" VALUES(26,7,'bakeoff:plan','{"purpose": "search", "configuration": null, "params": {"optimizer": "sgd", "scheduler": "constant", "sgd.learning_rate": 0.0029121460814294426, "sgd.momentum": 0.6014825168001648, "sgd.weight_decay": 0.0007661165636851547, "constant.warmup_fraction": 0.09024284915834176}, "epochs": 4, "decisions": [2, 3]}');
INSERT INTO "trial_system_attributes" VALUES(27,7,'bakeoff:check-begun','"ac094d005b136945fc6b8d35ec86aeca"');
INSERT INTO "trial_system_attributes" VALUES(28,7,'bakeoff:result','{"outcome": "pruned", "score": 0.6528239801196193, "further_scores": {}, "stop_reason": "behind its cohort at epoch 2", "attempts": 1, "test_metrics": {}, "history": [{"epoch": 1, "metrics": {"accuracy": 0.4354159867464128}, "train_loss": 0.5645840132535872, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 2, "metrics": {"accuracy": 0.6528239801196193}, "train_loss": 0.3471760198803807, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}]}');
INSERT INTO "trial_system_attributes" VALUES(29,7,'bakeoff:check-ended','"a222c6e2a6e0f8d17b116dcd9f47ddfc"');
INSERT INTO "trial_system_attributes" VALUES(30,8,'bakeoff:plan','{"purpose": "search", "configuration": null, "params": {"optimizer": "adam", "scheduler": "constant", "adam.learning_rate": 0.00581552386037904, "adam.weight_decay": 1.0851716938589913e-06, "adam.beta1": 0.855554846418547, "constant.warmup_fraction": 0.12105102694050447}, "epochs": 4, "decisions": [2, 3]}');
INSERT INTO "trial_system_attributes" VALUES(31,8,'bakeoff:check-begun','"43b0b8938cdcdd4683f0573311084e31"');
INSERT INTO "trial_system_attributes" VALUES(32,8,'bakeoff:result','{"outcome": "complete", "score": 0.8581203058954759, "further_scores": {}, "stop_reason": "", "attempts": 1, "test_metrics": {}, "history": [{"epoch": 1, "metrics": {"accuracy": 0.4579441631442538}, "train_loss": 0.5420558368557462, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 2, "metrics": {"accuracy": 0.6866162447163807}, "train_loss": 0.3133837552836193, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 3, "metrics": {"accuracy": 0.8009522855024442}, "train_loss": 0.19904771449755576, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 4, "metrics": {"accuracy": 0.8581203058954759}, "train_loss": 0.14187969410452406, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "finished", "confusion": []}]}');
INSERT INTO "trial_system_attributes" VALUES(33,8,'bakeoff:check-ended','"d1645f4ac4f6b22b686b65154af4ed4a"');
INSERT INTO "trial_system_attributes" VALUES(34,9,'bakeoff:plan','{"purpose": "search", "configuration": null, "params": {"optimizer": "sgd", "scheduler": "constant", "sgd.learning_rate": 0.03680722648338371, "sgd.momentum": 0.7370701107085785, "sgd.weight_decay": 0.003854809399240319, "constant.warmup_fraction": 0.03671494261134354}, "epochs": 4, "decisions": [2, 3]}');
INSERT INTO "trial_system_attributes" VALUES(35,9,'bakeoff:check-begun','"721e9d306908622b836e4b7ca2468bd2"');
INSERT INTO "trial_system_attributes" VALUES(36,9,'bakeoff:exempt','{"epoch": 2, "check": "0365e38044d11f59f1358e985d37f6d7"}');
INSERT INTO "trial_system_attributes" VALUES(37,9,'bakeoff:result','{"outcome": "complete", "score": 0.8116406587260502, "further_scores": {}, "stop_reason": "", "attempts": 1, "test_metrics": {}, "history": [{"epoch": 1, "metrics": {"accuracy": 0.4331550179872267}, "train_loss": 0.5668449820127732, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 2, "metrics": {"accuracy": 0.6494325269808402}, "train_loss": 0.3505674730191598, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 3, "metrics": {"accuracy": 0.7575712814776469}, "train_loss": 0.24242871852235315, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 4, "metrics": {"accuracy": 0.8116406587260502}, "train_loss": 0.18835934127394982, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "finished", "confusion": []}]}');
INSERT INTO "trial_system_attributes" VALUES(38,9,'bakeoff:check-ended','"940715c3cd5f7501043595fd9d1c5c63"');
INSERT INTO "trial_system_attributes" VALUES(39,10,'bakeoff:plan','{"purpose": "search", "configuration": null, "params": {"optimizer": "adam", "scheduler": "constant", "adam.learning_rate": 0.010623644512162363, "adam.weight_decay": 1.104199756407531e-06, "adam.beta1": 0.8231174864184905, "constant.warmup_fraction": 0.18952507016713102}, "epochs": 4, "decisions": [2, 3]}');
INSERT INTO "trial_system_attributes" VALUES(40,10,'bakeoff:check-begun','"948e51e840948d4a4c117207f2067778"');
INSERT INTO "trial_system_attributes" VALUES(41,10,'bakeoff:result','{"outcome": "complete", "score": 0.8875302848539013, "further_scores": {}, "stop_reason": "", "attempts": 1, "test_metrics": {}, "history": [{"epoch": 1, "metrics": {"accuracy": 0.473629485255414}, "train_loss": 0.5263705147445861, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 2, "metrics": {"accuracy": 0.710144227883121}, "train_loss": 0.28985577211687896, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 3, "metrics": {"accuracy": 0.8284015991969745}, "train_loss": 0.17159840080302546, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 4, "metrics": {"accuracy": 0.8875302848539013}, "train_loss": 0.11246971514609871, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "finished", "confusion": []}]}');
INSERT INTO "trial_system_attributes" VALUES(42,10,'bakeoff:check-ended','"0493bee5778493c118a881daeec54aab"');
INSERT INTO "trial_system_attributes" VALUES(43,11,'bakeoff:plan','{"purpose": "confirm", "configuration": 2, "params": {"optimizer": "sgd", "scheduler": "constant", "sgd.learning_rate": 0.005766447095302581, "sgd.momentum": 0.7978192561891975, "sgd.weight_decay": 0.003157213847342769, "constant.warmup_fraction": 0.06736009406096635}, "epochs": 4, "decisions": []}');
INSERT INTO "trial_system_attributes" VALUES(44,11,'bakeoff:check-begun','"7eb4a2cea041e5be642b07572d6d541c"');
INSERT INTO "trial_system_attributes" VALUES(45,11,'bakeoff:result','{"outcome": "complete", "score": 0.8573027313631006, "further_scores": {}, "stop_reason": "", "attempts": 1, "test_metrics": {"accuracy": 0.8473027313631006}, "history": [{"epoch": 1, "metrics": {"accuracy": 0.45736812339365374}, "train_loss": 0.5426318766063463, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 2, "metrics": {"accuracy": 0.6859021850904805}, "train_loss": 0.3140978149095195, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 3, "metrics": {"accuracy": 0.800169215938894}, "train_loss": 0.199830784061106, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 4, "metrics": {"accuracy": 0.8573027313631006}, "train_loss": 0.14269726863689935, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "finished", "confusion": []}], "test_without": "eJyrjAyzN6yItmdgOFAPABlKA+o="}');
INSERT INTO "trial_system_attributes" VALUES(46,11,'bakeoff:check-ended','"83f0058408ceafffc8a71d15c88a41b1"');
INSERT INTO "trial_system_attributes" VALUES(47,12,'bakeoff:plan','{"purpose": "confirm", "configuration": 9, "params": {"optimizer": "adam", "scheduler": "constant", "adam.learning_rate": 0.010623644512162363, "adam.weight_decay": 1.104199756407531e-06, "adam.beta1": 0.8231174864184905, "constant.warmup_fraction": 0.18952507016713102}, "epochs": 4, "decisions": []}');
INSERT INTO "trial_system_attributes" VALUES(48,12,'bakeoff:check-begun','"2d1702cca4f778584a19d9b5b60fad9b"');
INSERT INTO "trial_system_attributes" VALUES(49,12,'bakeoff:result','{"outcome": "complete", "score": 0.8872302848539012, "further_scores": {}, "stop_reason": "", "attempts": 1, "test_metrics": {"accuracy": 0.8772302848539012}, "history": [{"epoch": 1, "metrics": {"accuracy": 0.473329485255414}, "train_loss": 0.526670514744586, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 2, "metrics": {"accuracy": 0.709844227883121}, "train_loss": 0.29015577211687904, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 3, "metrics": {"accuracy": 0.8281015991969745}, "train_loss": 0.17189840080302554, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 4, "metrics": {"accuracy": 0.8872302848539012}, "train_loss": 0.11276971514609879, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "finished", "confusion": []}], "test_without": "eJw7xxRn36aYbM/AcKAeABpQA/Y="}');
INSERT INTO "trial_system_attributes" VALUES(50,12,'bakeoff:check-ended','"88b6cb291651d3e44dd0bd7fe7aaf930"');
INSERT INTO "trial_system_attributes" VALUES(51,13,'bakeoff:plan','{"purpose": "confirm", "configuration": 2, "params": {"optimizer": "sgd", "scheduler": "constant", "sgd.learning_rate": 0.005766447095302581, "sgd.momentum": 0.7978192561891975, "sgd.weight_decay": 0.003157213847342769, "constant.warmup_fraction": 0.06736009406096635}, "epochs": 4, "decisions": []}');
INSERT INTO "trial_system_attributes" VALUES(52,13,'bakeoff:check-begun','"d094a8ad4bed01f7607f9ede7adb343d"');
INSERT INTO "trial_system_attributes" VALUES(53,13,'bakeoff:result','{"outcome": "complete", "score": 0.8573027313631006, "further_scores": {}, "stop_reason": "", "attempts": 1, "test_metrics": {"accuracy": 0.8473027313631006}, "history": [{"epoch": 1, "metrics": {"accuracy": 0.45736812339365374}, "train_loss": 0.5426318766063463, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 2, "metrics": {"accuracy": 0.6859021850904805}, "train_loss": 0.3140978149095195, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 3, "metrics": {"accuracy": 0.800169215938894}, "train_loss": 0.199830784061106, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 4, "metrics": {"accuracy": 0.8573027313631006}, "train_loss": 0.14269726863689935, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "finished", "confusion": []}], "test_without": "eJyrjAyzN6yItmdgOFAPABlKA+o="}');
INSERT INTO "trial_system_attributes" VALUES(54,13,'bakeoff:check-ended','"efc1b9d935d00440a578a52f3b589655"');
INSERT INTO "trial_system_attributes" VALUES(55,14,'bakeoff:plan','{"purpose": "confirm", "configuration": 9, "params": {"optimizer": "adam", "scheduler": "constant", "adam.learning_rate": 0.010623644512162363, "adam.weight_decay": 1.104199756407531e-06, "adam.beta1": 0.8231174864184905, "constant.warmup_fraction": 0.18952507016713102}, "epochs": 4, "decisions": []}');
INSERT INTO "trial_system_attributes" VALUES(56,14,'bakeoff:check-begun','"55c2c41775db37cb18ce7c54e41d2aa9"');
INSERT INTO "trial_system_attributes" VALUES(57,14,'bakeoff:result','{"outcome": "complete", "score": 0.8872302848539012, "further_scores": {}, "stop_reason": "", "attempts": 1, "test_metrics": {"accuracy": 0.8772302848539012}, "history": [{"epoch": 1, "metrics": {"accuracy": 0.473329485255414}, "train_loss": 0.526670514744586, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 2, "metrics": {"accuracy": 0.709844227883121}, "train_loss": 0.29015577211687904, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 3, "metrics": {"accuracy": 0.8281015991969745}, "train_loss": 0.17189840080302554, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 4, "metrics": {"accuracy": 0.8872302848539012}, "train_loss": 0.11276971514609879, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "finished", "confusion": []}], "test_without": "eJw7xxRn36aYbM/AcKAeABpQA/Y="}');
INSERT INTO "trial_system_attributes" VALUES(58,14,'bakeoff:check-ended','"e9e3ff5bdada3325e3f108951d3fba70"');
INSERT INTO "trial_system_attributes" VALUES(59,15,'bakeoff:plan','{"purpose": "default", "configuration": 0, "params": {"optimizer": "sgd", "scheduler": "constant", "sgd.learning_rate": 0.001, "sgd.momentum": 0.0, "sgd.weight_decay": 0.0, "constant.warmup_fraction": 0.0}, "epochs": 4, "decisions": []}');
INSERT INTO "trial_system_attributes" VALUES(60,15,'bakeoff:check-begun','"e1b3f346b85e22b87e585eab57edb775"');
INSERT INTO "trial_system_attributes" VALUES(61,15,'bakeoff:result','{"outcome": "complete", "score": 0.7502999999999999, "further_scores": {}, "stop_reason": "", "attempts": 1, "test_metrics": {"accuracy": 0.7402999999999998}, "history": [{"epoch": 1, "metrics": {"accuracy": 0.4003}, "train_loss": 0.5997, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 2, "metrics": {"accuracy": 0.6003}, "train_loss": 0.39970000000000006, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 3, "metrics": {"accuracy": 0.7002999999999999}, "train_loss": 0.2997000000000001, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 4, "metrics": {"accuracy": 0.7502999999999999}, "train_loss": 0.24970000000000014, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "finished", "confusion": []}], "test_without": "eJz7+MXKfqWwgz0Dw4F6ACTWBNk="}');
INSERT INTO "trial_system_attributes" VALUES(62,15,'bakeoff:check-ended','"4dcfaf40ce598368674bd7f6ae6581a2"');
INSERT INTO "trial_system_attributes" VALUES(63,16,'bakeoff:plan','{"purpose": "default", "configuration": 1, "params": {"optimizer": "adam", "scheduler": "constant", "adam.learning_rate": 0.001, "adam.weight_decay": 0.0, "adam.beta1": 0.9, "constant.warmup_fraction": 0.0}, "epochs": 4, "decisions": []}');
INSERT INTO "trial_system_attributes" VALUES(64,16,'bakeoff:check-begun','"9955db8487b1734aa2a0ffc528b99a71"');
INSERT INTO "trial_system_attributes" VALUES(65,16,'bakeoff:result','{"outcome": "complete", "score": 0.7502999999999999, "further_scores": {}, "stop_reason": "", "attempts": 1, "test_metrics": {"accuracy": 0.7402999999999998}, "history": [{"epoch": 1, "metrics": {"accuracy": 0.4003}, "train_loss": 0.5997, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 2, "metrics": {"accuracy": 0.6003}, "train_loss": 0.39970000000000006, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 3, "metrics": {"accuracy": 0.7002999999999999}, "train_loss": 0.2997000000000001, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 4, "metrics": {"accuracy": 0.7502999999999999}, "train_loss": 0.24970000000000014, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "finished", "confusion": []}], "test_without": "eJz7+MXKfqWwgz0Dw4F6ACTWBNk="}');
INSERT INTO "trial_system_attributes" VALUES(66,16,'bakeoff:check-ended','"b978a192eaec550822ba3de3a147b3e7"');
INSERT INTO "trial_system_attributes" VALUES(67,17,'bakeoff:plan','{"purpose": "default", "configuration": 0, "params": {"optimizer": "sgd", "scheduler": "constant", "sgd.learning_rate": 0.001, "sgd.momentum": 0.0, "sgd.weight_decay": 0.0, "constant.warmup_fraction": 0.0}, "epochs": 4, "decisions": []}');
INSERT INTO "trial_system_attributes" VALUES(68,17,'bakeoff:check-begun','"72e7ed37efe8b8044ddc52f49f261880"');
INSERT INTO "trial_system_attributes" VALUES(69,17,'bakeoff:result','{"outcome": "complete", "score": 0.7502999999999999, "further_scores": {}, "stop_reason": "", "attempts": 1, "test_metrics": {"accuracy": 0.7402999999999998}, "history": [{"epoch": 1, "metrics": {"accuracy": 0.4003}, "train_loss": 0.5997, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 2, "metrics": {"accuracy": 0.6003}, "train_loss": 0.39970000000000006, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 3, "metrics": {"accuracy": 0.7002999999999999}, "train_loss": 0.2997000000000001, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 4, "metrics": {"accuracy": 0.7502999999999999}, "train_loss": 0.24970000000000014, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "finished", "confusion": []}], "test_without": "eJz7+MXKfqWwgz0Dw4F6ACTWBNk="}');
INSERT INTO "trial_system_attributes" VALUES(70,17,'bakeoff:check-ended','"8bd6202d16dfae81fa50448e7e928496"');
INSERT INTO "trial_system_attributes" VALUES(71,18,'bakeoff:plan','{"purpose": "default", "configuration": 1, "params": {"optimizer": "adam", "scheduler": "constant", "adam.learning_rate": 0.001, "adam.weight_decay": 0.0, "adam.beta1": 0.9, "constant.warmup_fraction": 0.0}, "epochs": 4, "decisions": []}');
INSERT INTO "trial_system_attributes" VALUES(72,18,'bakeoff:check-begun','"c72ef322159a67defce572c91ccf3d12"');
INSERT INTO "trial_system_attributes" VALUES(73,18,'bakeoff:result','{"outcome": "complete", "score": 0.7502999999999999, "further_scores": {}, "stop_reason": "", "attempts": 1, "test_metrics": {"accuracy": 0.7402999999999998}, "history": [{"epoch": 1, "metrics": {"accuracy": 0.4003}, "train_loss": 0.5997, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 2, "metrics": {"accuracy": 0.6003}, "train_loss": 0.39970000000000006, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 3, "metrics": {"accuracy": 0.7002999999999999}, "train_loss": 0.2997000000000001, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 4, "metrics": {"accuracy": 0.7502999999999999}, "train_loss": 0.24970000000000014, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "finished", "confusion": []}], "test_without": "eJz7+MXKfqWwgz0Dw4F6ACTWBNk="}');
INSERT INTO "trial_system_attributes" VALUES(74,18,'bakeoff:check-ended','"9a1863a1789203fa82ba41364446625a"');
INSERT INTO "trial_system_attributes" VALUES(75,19,'bakeoff:plan','{"purpose": "search", "configuration": null, "params": {"optimizer": "sgd", "scheduler": "constant", "sgd.learning_rate": 0.001, "sgd.momentum": 0.0, "sgd.weight_decay": 0.0, "constant.warmup_fraction": 0.0}, "epochs": 4, "decisions": []}');
INSERT INTO "trial_system_attributes" VALUES(76,19,'bakeoff:check-begun','"a74aa32b11c3401419d2f7b4e39a19a5"');
INSERT INTO "trial_system_attributes" VALUES(77,20,'bakeoff:plan','{"purpose": "search", "configuration": null, "params": {"optimizer": "adam", "scheduler": "constant", "adam.learning_rate": 0.001, "adam.weight_decay": 0.0, "adam.beta1": 0.9, "constant.warmup_fraction": 0.0}, "epochs": 4, "decisions": []}');
INSERT INTO "trial_system_attributes" VALUES(78,20,'bakeoff:check-begun','"91ac7c41241d0f6f487c2101fd6ef099"');
INSERT INTO "trial_system_attributes" VALUES(79,19,'bakeoff:result','{"outcome": "complete", "score": 0.7499999999999999, "further_scores": {}, "stop_reason": "", "attempts": 1, "test_metrics": {}, "history": [{"epoch": 1, "metrics": {"accuracy": 0.39999999999999997}, "train_loss": 0.6000000000000001, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 2, "metrics": {"accuracy": 0.6}, "train_loss": 0.4, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 3, "metrics": {"accuracy": 0.7}, "train_loss": 0.30000000000000004, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 4, "metrics": {"accuracy": 0.7499999999999999}, "train_loss": 0.2500000000000001, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "finished", "confusion": []}]}');
INSERT INTO "trial_system_attributes" VALUES(80,19,'bakeoff:check-ended','"593d88bf69cab2aa173c43fc8c9a29d5"');
INSERT INTO "trial_system_attributes" VALUES(81,21,'bakeoff:plan','{"purpose": "search", "configuration": null, "params": {"optimizer": "sgd", "scheduler": "constant", "sgd.learning_rate": 0.005766447095302581, "sgd.momentum": 0.7978192561891975, "sgd.weight_decay": 0.003157213847342769, "constant.warmup_fraction": 0.06736009406096635}, "epochs": 4, "decisions": [2]}');
INSERT INTO "trial_system_attributes" VALUES(82,21,'bakeoff:check-begun','"828de1e05af009004621acf5261019c9"');
INSERT INTO "trial_system_attributes" VALUES(83,20,'bakeoff:result','{"outcome": "complete", "score": 0.7499999999999999, "further_scores": {}, "stop_reason": "", "attempts": 1, "test_metrics": {}, "history": [{"epoch": 1, "metrics": {"accuracy": 0.39999999999999997}, "train_loss": 0.6000000000000001, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 2, "metrics": {"accuracy": 0.6}, "train_loss": 0.4, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 3, "metrics": {"accuracy": 0.7}, "train_loss": 0.30000000000000004, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 4, "metrics": {"accuracy": 0.7499999999999999}, "train_loss": 0.2500000000000001, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "finished", "confusion": []}]}');
INSERT INTO "trial_system_attributes" VALUES(84,20,'bakeoff:check-ended','"98ac9504cd2dfd194d385a309dc1b479"');
INSERT INTO "trial_system_attributes" VALUES(85,22,'bakeoff:plan','{"purpose": "search", "configuration": null, "params": {"optimizer": "adam", "scheduler": "constant", "adam.learning_rate": 1.6199719876392995e-05, "adam.weight_decay": 2.566292184315149e-05, "adam.beta1": 0.850559929141497, "constant.warmup_fraction": 0.037752918027205803}, "epochs": 4, "decisions": [2]}');
INSERT INTO "trial_system_attributes" VALUES(86,22,'bakeoff:check-begun','"c7d5c258ff03ceff13512b83322ba9df"');
INSERT INTO "trial_system_attributes" VALUES(87,21,'bakeoff:paused','{"history": [{"epoch": 1, "metrics": {"accuracy": 0.4576681233936537}, "train_loss": 0.5423318766063463, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 2, "metrics": {"accuracy": 0.6862021850904806}, "train_loss": 0.3137978149095194, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}], "check": "b2ccedb0b76e478a6523a66b3336891c"}');
INSERT INTO "trial_system_attributes" VALUES(88,23,'bakeoff:plan','{"purpose": "search", "configuration": null, "params": {"optimizer": "sgd", "scheduler": "constant", "sgd.learning_rate": 0.054824580255768994, "sgd.momentum": 0.9576847396079811, "sgd.weight_decay": 0.00018848035087585415, "constant.warmup_fraction": 0.17627344446819318}, "epochs": 4, "decisions": [2]}');
INSERT INTO "trial_system_attributes" VALUES(89,23,'bakeoff:check-begun','"69073a730065e2a8adc495c1f49410fa"');
INSERT INTO "trial_system_attributes" VALUES(90,22,'bakeoff:paused','{"history": [{"epoch": 1, "metrics": {"accuracy": 0.2663130628629723}, "train_loss": 0.7336869371370277, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 2, "metrics": {"accuracy": 0.3991695942944585}, "train_loss": 0.6008304057055416, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}], "check": "d7373d0cae1a0968dc7681ebe6b1fc8a"}');
INSERT INTO "trial_system_attributes" VALUES(91,24,'bakeoff:plan','{"purpose": "search", "configuration": null, "params": {"optimizer": "adam", "scheduler": "constant", "adam.learning_rate": 0.004739087838371137, "adam.weight_decay": 3.7539166010695488e-06, "adam.beta1": 0.8663741155607908, "constant.warmup_fraction": 0.10947767428464926}, "epochs": 4, "decisions": [2]}');
INSERT INTO "trial_system_attributes" VALUES(92,24,'bakeoff:check-begun','"8f266aef037b628da2049d7d25bda956"');
INSERT INTO "trial_system_attributes" VALUES(93,23,'bakeoff:paused','{"history": [{"epoch": 1, "metrics": {"accuracy": 0.4200768513490239}, "train_loss": 0.5799231486509762, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 2, "metrics": {"accuracy": 0.6298652770235358}, "train_loss": 0.3701347229764642, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}], "check": "c7360f96641f6e78bbb08f5a60bb88f6"}');
INSERT INTO "trial_system_attributes" VALUES(94,25,'bakeoff:plan','{"purpose": "search", "configuration": null, "params": {"optimizer": "sgd", "scheduler": "constant", "sgd.learning_rate": 0.0029121460814294426, "sgd.momentum": 0.6014825168001648, "sgd.weight_decay": 0.0007661165636851547, "constant.warmup_fraction": 0.09024284915834176}, "epochs": 4, "decisions": [2]}');
INSERT INTO "trial_system_attributes" VALUES(95,25,'bakeoff:check-begun','"7a074cb33a12537612f77b491665f56f"');
INSERT INTO "trial_system_attributes" VALUES(96,24,'bakeoff:paused','{"history": [{"epoch": 1, "metrics": {"accuracy": 0.45117710687739204}, "train_loss": 0.548822893122608, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 2, "metrics": {"accuracy": 0.676515660316088}, "train_loss": 0.323484339683912, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}], "check": "1cdc0df6615f72cb919ea359e6ec063a"}');
INSERT INTO "trial_system_attributes" VALUES(97,26,'bakeoff:plan','{"purpose": "search", "configuration": null, "params": {"optimizer": "adam", "scheduler": "constant", "adam.learning_rate": 0.00581552386037904, "adam.weight_decay": 1.0851716938589913e-06, "adam.beta1": 0.855554846418547, "constant.warmup_fraction": 0.12105102694050447}, "epochs": 4, "decisions": [2]}');
INSERT INTO "trial_system_attributes" VALUES(98,26,'bakeoff:check-begun','"ccf864362c64859ec81506febad877eb"');
INSERT INTO "trial_system_attributes" VALUES(99,26,'bakeoff:losses','{"attempt": 2, "losses": 1, "epoch": 1, "check": "4bb9633ca77f53a29d500c66234a995b"}');
INSERT INTO "trial_system_attributes" VALUES(100,25,'bakeoff:paused','{"history": [{"epoch": 1, "metrics": {"accuracy": 0.4354159867464128}, "train_loss": 0.5645840132535872, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}, {"epoch": 2, "metrics": {"accuracy": 0.6528239801196193}, "train_loss": 0.3471760198803807, "learning_rate": null, "grad_norm": null, "steps": 0, "skipped_steps": 0, "train_seconds": 1.0, "data_seconds": 0.0, "evaluate_seconds": 0.0, "status": "running", "confusion": []}], "check": "a600d9171c4b9c9543052f04e22f7178"}');
INSERT INTO "trial_system_attributes" VALUES(101,27,'bakeoff:plan','{"purpose": "search", "configuration": null, "params": {"optimizer": "sgd", "scheduler": "constant", "sgd.learning_rate": 0.03680722648338371, "sgd.momentum": 0.7370701107085785, "sgd.weight_decay": 0.003854809399240319, "constant.warmup_fraction": 0.03671494261134354}, "epochs": 4, "decisions": [2]}');
INSERT INTO "trial_system_attributes" VALUES(102,27,'bakeoff:check-begun','"adcdc87a7dc2486b37022bebae6fa7ba"');
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_user_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_user_attributes" VALUES(1,1,'arm','"sgd"');
INSERT INTO "trial_user_attributes" VALUES(2,1,'phase','"default"');
INSERT INTO "trial_user_attributes" VALUES(3,1,'seed','"1469426203"');
INSERT INTO "trial_user_attributes" VALUES(4,1,'outcome','"complete"');
INSERT INTO "trial_user_attributes" VALUES(5,1,'epochs','4');
INSERT INTO "trial_user_attributes" VALUES(6,1,'train_seconds','4.0');
INSERT INTO "trial_user_attributes" VALUES(7,2,'arm','"adam"');
INSERT INTO "trial_user_attributes" VALUES(8,2,'phase','"default"');
INSERT INTO "trial_user_attributes" VALUES(9,2,'seed','"1469426203"');
INSERT INTO "trial_user_attributes" VALUES(10,2,'outcome','"complete"');
INSERT INTO "trial_user_attributes" VALUES(11,2,'epochs','4');
INSERT INTO "trial_user_attributes" VALUES(12,2,'train_seconds','4.0');
INSERT INTO "trial_user_attributes" VALUES(13,3,'arm','"sgd"');
INSERT INTO "trial_user_attributes" VALUES(14,3,'phase','"random"');
INSERT INTO "trial_user_attributes" VALUES(15,3,'seed','"900056422"');
INSERT INTO "trial_user_attributes" VALUES(16,3,'outcome','"complete"');
INSERT INTO "trial_user_attributes" VALUES(17,3,'epochs','4');
INSERT INTO "trial_user_attributes" VALUES(18,3,'train_seconds','4.0');
INSERT INTO "trial_user_attributes" VALUES(19,4,'arm','"adam"');
INSERT INTO "trial_user_attributes" VALUES(20,4,'phase','"random"');
INSERT INTO "trial_user_attributes" VALUES(21,4,'seed','"900056422"');
INSERT INTO "trial_user_attributes" VALUES(22,4,'attempts','2');
INSERT INTO "trial_user_attributes" VALUES(23,4,'outcome','"complete"');
INSERT INTO "trial_user_attributes" VALUES(24,4,'epochs','4');
INSERT INTO "trial_user_attributes" VALUES(25,4,'train_seconds','4.0');
INSERT INTO "trial_user_attributes" VALUES(26,5,'arm','"sgd"');
INSERT INTO "trial_user_attributes" VALUES(27,5,'phase','"random"');
INSERT INTO "trial_user_attributes" VALUES(28,5,'seed','"1643597716"');
INSERT INTO "trial_user_attributes" VALUES(29,5,'outcome','"diverged"');
INSERT INTO "trial_user_attributes" VALUES(30,5,'epochs','1');
INSERT INTO "trial_user_attributes" VALUES(31,5,'train_seconds','1.0');
INSERT INTO "trial_user_attributes" VALUES(32,5,'stop_reason','"not finite in epoch 1"');
INSERT INTO "trial_user_attributes" VALUES(33,6,'arm','"adam"');
INSERT INTO "trial_user_attributes" VALUES(34,6,'phase','"random"');
INSERT INTO "trial_user_attributes" VALUES(35,6,'seed','"1643597716"');
INSERT INTO "trial_user_attributes" VALUES(36,6,'outcome','"complete"');
INSERT INTO "trial_user_attributes" VALUES(37,6,'epochs','4');
INSERT INTO "trial_user_attributes" VALUES(38,6,'train_seconds','4.0');
INSERT INTO "trial_user_attributes" VALUES(39,7,'arm','"sgd"');
INSERT INTO "trial_user_attributes" VALUES(40,7,'phase','"model"');
INSERT INTO "trial_user_attributes" VALUES(41,7,'seed','"305314057"');
INSERT INTO "trial_user_attributes" VALUES(42,7,'outcome','"pruned"');
INSERT INTO "trial_user_attributes" VALUES(43,7,'epochs','2');
INSERT INTO "trial_user_attributes" VALUES(44,7,'train_seconds','2.0');
INSERT INTO "trial_user_attributes" VALUES(45,7,'stop_reason','"behind its cohort at epoch 2"');
INSERT INTO "trial_user_attributes" VALUES(46,8,'arm','"adam"');
INSERT INTO "trial_user_attributes" VALUES(47,8,'phase','"model"');
INSERT INTO "trial_user_attributes" VALUES(48,8,'seed','"305314057"');
INSERT INTO "trial_user_attributes" VALUES(49,8,'outcome','"complete"');
INSERT INTO "trial_user_attributes" VALUES(50,8,'epochs','4');
INSERT INTO "trial_user_attributes" VALUES(51,8,'train_seconds','4.0');
INSERT INTO "trial_user_attributes" VALUES(52,9,'arm','"sgd"');
INSERT INTO "trial_user_attributes" VALUES(53,9,'phase','"model"');
INSERT INTO "trial_user_attributes" VALUES(54,9,'seed','"1772184301"');
INSERT INTO "trial_user_attributes" VALUES(55,9,'audited','true');
INSERT INTO "trial_user_attributes" VALUES(56,9,'spared_at','2');
INSERT INTO "trial_user_attributes" VALUES(57,9,'outcome','"complete"');
INSERT INTO "trial_user_attributes" VALUES(58,9,'epochs','4');
INSERT INTO "trial_user_attributes" VALUES(59,9,'train_seconds','4.0');
INSERT INTO "trial_user_attributes" VALUES(60,10,'arm','"adam"');
INSERT INTO "trial_user_attributes" VALUES(61,10,'phase','"model"');
INSERT INTO "trial_user_attributes" VALUES(62,10,'seed','"1772184301"');
INSERT INTO "trial_user_attributes" VALUES(63,10,'audited','true');
INSERT INTO "trial_user_attributes" VALUES(64,10,'outcome','"complete"');
INSERT INTO "trial_user_attributes" VALUES(65,10,'epochs','4');
INSERT INTO "trial_user_attributes" VALUES(66,10,'train_seconds','4.0');
INSERT INTO "trial_user_attributes" VALUES(67,11,'arm','"sgd"');
INSERT INTO "trial_user_attributes" VALUES(68,11,'phase','"user"');
INSERT INTO "trial_user_attributes" VALUES(69,11,'seed','"86848688"');
INSERT INTO "trial_user_attributes" VALUES(70,11,'purpose','"confirm"');
INSERT INTO "trial_user_attributes" VALUES(71,11,'outcome','"complete"');
INSERT INTO "trial_user_attributes" VALUES(72,11,'epochs','4');
INSERT INTO "trial_user_attributes" VALUES(73,11,'train_seconds','4.0');
INSERT INTO "trial_user_attributes" VALUES(74,11,'test_accuracy','0.8473027313631006');
INSERT INTO "trial_user_attributes" VALUES(75,12,'arm','"adam"');
INSERT INTO "trial_user_attributes" VALUES(76,12,'phase','"user"');
INSERT INTO "trial_user_attributes" VALUES(77,12,'seed','"86848688"');
INSERT INTO "trial_user_attributes" VALUES(78,12,'purpose','"confirm"');
INSERT INTO "trial_user_attributes" VALUES(79,12,'outcome','"complete"');
INSERT INTO "trial_user_attributes" VALUES(80,12,'epochs','4');
INSERT INTO "trial_user_attributes" VALUES(81,12,'train_seconds','4.0');
INSERT INTO "trial_user_attributes" VALUES(82,12,'test_accuracy','0.8772302848539012');
INSERT INTO "trial_user_attributes" VALUES(83,13,'arm','"sgd"');
INSERT INTO "trial_user_attributes" VALUES(84,13,'phase','"user"');
INSERT INTO "trial_user_attributes" VALUES(85,13,'seed','"1935705635"');
INSERT INTO "trial_user_attributes" VALUES(86,13,'purpose','"confirm"');
INSERT INTO "trial_user_attributes" VALUES(87,13,'outcome','"complete"');
INSERT INTO "trial_user_attributes" VALUES(88,13,'epochs','4');
INSERT INTO "trial_user_attributes" VALUES(89,13,'train_seconds','4.0');
INSERT INTO "trial_user_attributes" VALUES(90,13,'test_accuracy','0.8473027313631006');
INSERT INTO "trial_user_attributes" VALUES(91,14,'arm','"adam"');
INSERT INTO "trial_user_attributes" VALUES(92,14,'phase','"user"');
INSERT INTO "trial_user_attributes" VALUES(93,14,'seed','"1935705635"');
INSERT INTO "trial_user_attributes" VALUES(94,14,'purpose','"confirm"');
INSERT INTO "trial_user_attributes" VALUES(95,14,'outcome','"complete"');
INSERT INTO "trial_user_attributes" VALUES(96,14,'epochs','4');
INSERT INTO "trial_user_attributes" VALUES(97,14,'train_seconds','4.0');
INSERT INTO "trial_user_attributes" VALUES(98,14,'test_accuracy','0.8772302848539012');
INSERT INTO "trial_user_attributes" VALUES(99,15,'arm','"sgd"');
INSERT INTO "trial_user_attributes" VALUES(100,15,'phase','"default"');
INSERT INTO "trial_user_attributes" VALUES(101,15,'seed','"86848688"');
INSERT INTO "trial_user_attributes" VALUES(102,15,'purpose','"default"');
INSERT INTO "trial_user_attributes" VALUES(103,15,'outcome','"complete"');
INSERT INTO "trial_user_attributes" VALUES(104,15,'epochs','4');
INSERT INTO "trial_user_attributes" VALUES(105,15,'train_seconds','4.0');
INSERT INTO "trial_user_attributes" VALUES(106,15,'test_accuracy','0.7402999999999998');
INSERT INTO "trial_user_attributes" VALUES(107,16,'arm','"adam"');
INSERT INTO "trial_user_attributes" VALUES(108,16,'phase','"default"');
INSERT INTO "trial_user_attributes" VALUES(109,16,'seed','"86848688"');
INSERT INTO "trial_user_attributes" VALUES(110,16,'purpose','"default"');
INSERT INTO "trial_user_attributes" VALUES(111,16,'outcome','"complete"');
INSERT INTO "trial_user_attributes" VALUES(112,16,'epochs','4');
INSERT INTO "trial_user_attributes" VALUES(113,16,'train_seconds','4.0');
INSERT INTO "trial_user_attributes" VALUES(114,16,'test_accuracy','0.7402999999999998');
INSERT INTO "trial_user_attributes" VALUES(115,17,'arm','"sgd"');
INSERT INTO "trial_user_attributes" VALUES(116,17,'phase','"default"');
INSERT INTO "trial_user_attributes" VALUES(117,17,'seed','"1935705635"');
INSERT INTO "trial_user_attributes" VALUES(118,17,'purpose','"default"');
INSERT INTO "trial_user_attributes" VALUES(119,17,'outcome','"complete"');
INSERT INTO "trial_user_attributes" VALUES(120,17,'epochs','4');
INSERT INTO "trial_user_attributes" VALUES(121,17,'train_seconds','4.0');
INSERT INTO "trial_user_attributes" VALUES(122,17,'test_accuracy','0.7402999999999998');
INSERT INTO "trial_user_attributes" VALUES(123,18,'arm','"adam"');
INSERT INTO "trial_user_attributes" VALUES(124,18,'phase','"default"');
INSERT INTO "trial_user_attributes" VALUES(125,18,'seed','"1935705635"');
INSERT INTO "trial_user_attributes" VALUES(126,18,'purpose','"default"');
INSERT INTO "trial_user_attributes" VALUES(127,18,'outcome','"complete"');
INSERT INTO "trial_user_attributes" VALUES(128,18,'epochs','4');
INSERT INTO "trial_user_attributes" VALUES(129,18,'train_seconds','4.0');
INSERT INTO "trial_user_attributes" VALUES(130,18,'test_accuracy','0.7402999999999998');
INSERT INTO "trial_user_attributes" VALUES(131,19,'arm','"sgd"');
INSERT INTO "trial_user_attributes" VALUES(132,19,'phase','"default"');
INSERT INTO "trial_user_attributes" VALUES(133,19,'seed','"1469426203"');
INSERT INTO "trial_user_attributes" VALUES(134,20,'arm','"adam"');
INSERT INTO "trial_user_attributes" VALUES(135,20,'phase','"default"');
INSERT INTO "trial_user_attributes" VALUES(136,20,'seed','"1469426203"');
INSERT INTO "trial_user_attributes" VALUES(137,19,'outcome','"complete"');
INSERT INTO "trial_user_attributes" VALUES(138,19,'epochs','4');
INSERT INTO "trial_user_attributes" VALUES(139,19,'train_seconds','4.0');
INSERT INTO "trial_user_attributes" VALUES(140,21,'arm','"sgd"');
INSERT INTO "trial_user_attributes" VALUES(141,21,'phase','"random"');
INSERT INTO "trial_user_attributes" VALUES(142,21,'seed','"900056422"');
INSERT INTO "trial_user_attributes" VALUES(143,20,'outcome','"complete"');
INSERT INTO "trial_user_attributes" VALUES(144,20,'epochs','4');
INSERT INTO "trial_user_attributes" VALUES(145,20,'train_seconds','4.0');
INSERT INTO "trial_user_attributes" VALUES(146,22,'arm','"adam"');
INSERT INTO "trial_user_attributes" VALUES(147,22,'phase','"random"');
INSERT INTO "trial_user_attributes" VALUES(148,22,'seed','"900056422"');
INSERT INTO "trial_user_attributes" VALUES(149,21,'paused','"after epoch 2"');
INSERT INTO "trial_user_attributes" VALUES(150,23,'arm','"sgd"');
INSERT INTO "trial_user_attributes" VALUES(151,23,'phase','"random"');
INSERT INTO "trial_user_attributes" VALUES(152,23,'seed','"1643597716"');
INSERT INTO "trial_user_attributes" VALUES(153,23,'audited','true');
INSERT INTO "trial_user_attributes" VALUES(154,22,'paused','"after epoch 2"');
INSERT INTO "trial_user_attributes" VALUES(155,24,'arm','"adam"');
INSERT INTO "trial_user_attributes" VALUES(156,24,'phase','"random"');
INSERT INTO "trial_user_attributes" VALUES(157,24,'seed','"1643597716"');
INSERT INTO "trial_user_attributes" VALUES(158,24,'audited','true');
INSERT INTO "trial_user_attributes" VALUES(159,23,'paused','"after epoch 2"');
INSERT INTO "trial_user_attributes" VALUES(160,25,'arm','"sgd"');
INSERT INTO "trial_user_attributes" VALUES(161,25,'phase','"model"');
INSERT INTO "trial_user_attributes" VALUES(162,25,'seed','"305314057"');
INSERT INTO "trial_user_attributes" VALUES(163,24,'paused','"after epoch 2"');
INSERT INTO "trial_user_attributes" VALUES(164,26,'arm','"adam"');
INSERT INTO "trial_user_attributes" VALUES(165,26,'phase','"model"');
INSERT INTO "trial_user_attributes" VALUES(166,26,'seed','"305314057"');
INSERT INTO "trial_user_attributes" VALUES(167,26,'attempts','2');
INSERT INTO "trial_user_attributes" VALUES(168,25,'paused','"after epoch 2"');
INSERT INTO "trial_user_attributes" VALUES(169,27,'arm','"sgd"');
INSERT INTO "trial_user_attributes" VALUES(170,27,'phase','"model"');
INSERT INTO "trial_user_attributes" VALUES(171,27,'seed','"1772184301"');
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
INSERT INTO "trial_values" VALUES(1,1,0,7.49999999999999888977e-01,'FINITE');
INSERT INTO "trial_values" VALUES(2,2,0,7.49999999999999888977e-01,'FINITE');
INSERT INTO "trial_values" VALUES(3,3,0,8.57602731363100723172e-01,'FINITE');
INSERT INTO "trial_values" VALUES(4,4,0,4.98811992868073039719e-01,'FINITE');
INSERT INTO "trial_values" VALUES(5,5,0,0.1,'FINITE');
INSERT INTO "trial_values" VALUES(6,6,0,0.84551957539511,'FINITE');
INSERT INTO "trial_values" VALUES(7,7,0,6.52823980119619284856e-01,'FINITE');
INSERT INTO "trial_values" VALUES(8,8,0,8.5812030589547594328e-01,'FINITE');
INSERT INTO "trial_values" VALUES(9,9,0,8.11640658726050179261e-01,'FINITE');
INSERT INTO "trial_values" VALUES(10,10,0,8.87530284853901285657e-01,'FINITE');
INSERT INTO "trial_values" VALUES(11,11,0,8.57302731363100645189e-01,'FINITE');
INSERT INTO "trial_values" VALUES(12,12,0,8.87230284853901207675e-01,'FINITE');
INSERT INTO "trial_values" VALUES(13,13,0,8.57302731363100645189e-01,'FINITE');
INSERT INTO "trial_values" VALUES(14,14,0,8.87230284853901207675e-01,'FINITE');
INSERT INTO "trial_values" VALUES(15,15,0,7.50299999999999855937e-01,'FINITE');
INSERT INTO "trial_values" VALUES(16,16,0,7.50299999999999855937e-01,'FINITE');
INSERT INTO "trial_values" VALUES(17,17,0,7.50299999999999855937e-01,'FINITE');
INSERT INTO "trial_values" VALUES(18,18,0,7.50299999999999855937e-01,'FINITE');
INSERT INTO "trial_values" VALUES(19,19,0,7.49999999999999888977e-01,'FINITE');
INSERT INTO "trial_values" VALUES(20,20,0,7.49999999999999888977e-01,'FINITE');
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
INSERT INTO "trials" VALUES(1,0,2,'COMPLETE','2026-11-28 23:52:44.996782','2026-11-28 23:52:45.263247');
INSERT INTO "trials" VALUES(2,1,2,'COMPLETE','2026-11-28 23:52:45.284994','2026-11-28 23:52:45.547271');
INSERT INTO "trials" VALUES(3,2,2,'COMPLETE','2026-11-28 23:52:45.563078','2026-11-28 23:52:45.846917');
INSERT INTO "trials" VALUES(4,3,2,'COMPLETE','2026-11-28 23:52:45.862907','2026-11-28 23:52:46.146478');
INSERT INTO "trials" VALUES(5,4,2,'COMPLETE','2026-11-28 23:52:46.162310','2026-11-28 23:52:46.310946');
INSERT INTO "trials" VALUES(6,5,2,'COMPLETE','2026-11-28 23:52:46.322095','2026-11-28 23:52:46.506090');
INSERT INTO "trials" VALUES(7,6,2,'PRUNED','2026-11-28 23:52:46.525953','2026-11-28 23:52:46.780284');
INSERT INTO "trials" VALUES(8,7,2,'COMPLETE','2026-11-28 23:52:46.795223','2026-11-28 23:52:47.034711');
INSERT INTO "trials" VALUES(9,8,2,'COMPLETE','2026-11-28 23:52:47.051974','2026-11-28 23:52:47.258460');
INSERT INTO "trials" VALUES(10,9,2,'COMPLETE','2026-11-28 23:52:47.276243','2026-11-28 23:52:47.445731');
INSERT INTO "trials" VALUES(11,0,1,'COMPLETE','2026-11-28 23:52:47.485924','2026-11-28 23:52:47.672558');
INSERT INTO "trials" VALUES(12,1,1,'COMPLETE','2026-11-28 23:52:47.688389','2026-11-28 23:52:47.919819');
INSERT INTO "trials" VALUES(13,2,1,'COMPLETE','2026-11-28 23:52:47.936721','2026-11-28 23:52:48.264407');
INSERT INTO "trials" VALUES(14,3,1,'COMPLETE','2026-11-28 23:52:48.268525','2026-11-28 23:52:48.576159');
INSERT INTO "trials" VALUES(15,4,1,'COMPLETE','2026-11-28 23:52:48.582961','2026-11-28 23:52:48.867065');
INSERT INTO "trials" VALUES(16,5,1,'COMPLETE','2026-11-28 23:52:48.883708','2026-11-28 23:52:49.167376');
INSERT INTO "trials" VALUES(17,6,1,'COMPLETE','2026-11-28 23:52:49.188628','2026-11-28 23:52:49.490428');
INSERT INTO "trials" VALUES(18,7,1,'COMPLETE','2026-11-28 23:52:49.504441','2026-11-28 23:52:49.804878');
INSERT INTO "trials" VALUES(19,0,4,'COMPLETE','2026-11-28 23:52:50.679889','2026-11-28 23:52:51.106938');
INSERT INTO "trials" VALUES(20,1,4,'COMPLETE','2026-11-28 23:52:50.801360','2026-11-28 23:52:51.399242');
INSERT INTO "trials" VALUES(21,2,4,'RUNNING','2026-11-28 23:52:51.134399',NULL);
INSERT INTO "trials" VALUES(22,3,4,'RUNNING','2026-11-28 23:52:51.422370',NULL);
INSERT INTO "trials" VALUES(23,4,4,'RUNNING','2026-11-28 23:52:51.652936',NULL);
INSERT INTO "trials" VALUES(24,5,4,'RUNNING','2026-11-28 23:52:51.826329',NULL);
INSERT INTO "trials" VALUES(25,6,4,'RUNNING','2026-11-28 23:52:52.086750',NULL);
INSERT INTO "trials" VALUES(26,7,4,'RUNNING','2026-11-28 23:52:52.302102',NULL);
INSERT INTO "trials" VALUES(27,8,4,'RUNNING','2026-11-28 23:52:52.583114',NULL);
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL, 
	schema_version INTEGER, 
	library_version VARCHAR(256), 
	PRIMARY KEY (version_info_id), 
	CHECK (version_info_id=1)
);
INSERT INTO "version_info" VALUES(1,12,'5.0.0');
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
CREATE INDEX ix_trials_study_id ON trials (study_id);
COMMIT;

DROP TABLE carrier_names;

"""The projects behind one door: their names, folders and quotas, and what each was used for."""

-- How many records a sync has set aside.
ALTER TABLE syncs ADD COLUMN rejected INTEGER NOT NULL DEFAULT 0;

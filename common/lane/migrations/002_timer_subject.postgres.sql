-- The subject whose facts a timer's verdict rests on, '' = none. While events of it are parked the timer is held, and
-- stands in front of no other of its key. What was set before this step is looked at one by one.
ALTER TABLE timers ADD COLUMN subject TEXT COLLATE "C" NOT NULL DEFAULT '';

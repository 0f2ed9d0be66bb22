-- Clocks that differ because tzdata changed, in this round or the last one, whichever has more.
ALTER TABLE verifications ADD COLUMN tzdata_differing BIGINT NOT NULL DEFAULT 0;

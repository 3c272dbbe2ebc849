-- Who claimed each task last, and which worker wrote to a task that somebody else held: each such row
-- is a zombie whose write was accepted. Workers are told apart by their connections' application_name.
CREATE TABLE chaos_owner (task_id uuid PRIMARY KEY, fence bigint, who text);
CREATE TABLE chaos_stale (at timestamptz DEFAULT clock_timestamp(), task_id uuid, fence bigint, who text, owner text,
    before text, after text);

CREATE FUNCTION chaos_watch() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    me text := current_setting('application_name');
    holder record;
BEGIN
    IF NEW.fence > OLD.fence THEN
        INSERT INTO chaos_owner VALUES (NEW.id, NEW.fence, me)
        ON CONFLICT (task_id) DO UPDATE SET fence = excluded.fence, who = excluded.who;
        RETURN NULL;
    END IF;
    -- What waits to be submitted, unclaimed, is written under the dispatcher's locks instead.
    IF me NOT LIKE 'worker-%' OR (OLD.step IN ('submit', 'check') AND OLD.lease_until IS NULL) THEN
        RETURN NULL;
    END IF;
    SELECT fence, who INTO holder FROM chaos_owner WHERE task_id = NEW.id;
    IF NEW.fence < OLD.fence OR holder.fence IS DISTINCT FROM NEW.fence OR holder.who IS DISTINCT FROM me THEN
        INSERT INTO chaos_stale (task_id, fence, who, owner, before, after)
        VALUES (NEW.id, NEW.fence, me, holder.who, OLD.status || '/' || OLD.step, NEW.status || '/' || NEW.step);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER chaos_watch AFTER UPDATE ON runs_task FOR EACH ROW EXECUTE FUNCTION chaos_watch();

-- Search disregards accents, too: jose finds José, and it does not matter whether an accent is a character of its own.
-- Reading goes on while the new index is made, by the old one; additions and deletions wait for it. The app of the version
-- before goes on, too: it calls the function by its name, which changes its meaning together with the index.

ALTER FUNCTION fold_case(text) RENAME TO fold_case_only;
ALTER INDEX visitors_name_search RENAME TO visitors_name_search_by_case;

-- Canonical decomposition without U+0300 to U+036F, then simple case pairs. The accents go first: upper() would make a
-- letter of one (U+0345). ASCII has none, and most names are ASCII: the CASE spares them the work. Not STRICT: PostgreSQL
-- would then not put the expression in place of the call, and each would cost several times as much.
CREATE FUNCTION fold_case(value text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN lower(upper(CASE
        WHEN octet_length(value) = char_length(value) THEN value
        ELSE regexp_replace(normalize(value, NFD), '[\u0300-\u036F]', '', 'g')
    END));
COMMENT ON FUNCTION fold_case IS 'The form in which names are compared by a search: without case and accents.';

-- The limit: see 002_add_batches.sql.
CREATE INDEX visitors_name_search ON visitors USING gin (fold_case(name) gin_trgm_ops)
    WITH (gin_pending_list_limit = 64);
DROP INDEX visitors_name_search_by_case;
DROP FUNCTION fold_case_only(text);

-- What the planner knows of folded names belongs to their index, and the new one has nothing yet.
ANALYZE visitors;

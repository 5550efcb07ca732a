package postgres

import (
	"cmp"
	"fmt"
	"strings"
)

// A consumer that's handed the other role of a pair must be able to do all that
// it could before. So what one of two roles has is compared with what the other
// has, before the other is promoted and by rota check: attributes, settings,
// memberships, and every kind of privilege that PostgreSQL knows.
//
// Privileges and memberships are compared by effect: a role has what its groups
// have, what everyone has, and what the role has that it acts as by default.
// Anyone may read the catalogs that this takes, so a login can compare itself.

// lacking is a query that names what role "it" has and role "me" doesn't, one
// thing a row.
func lacking(version int, me, it string) string {
	return compare(me, it, append(rights(version), ownershipParts...))
}

// rights are the parts of a comparison, without what the roles own.
func rights(version int) []string {
	parts := []string{attributesPart, loginPart, actsPart, membershipsPart, settingsPart, labelsPart, mappingsPart, policiesPart, policiesElsewherePart,
		largeObjectsPart, futurePart, defaultsPart, privilegesElsewherePart}
	for _, k := range kinds {
		if version >= k.since {
			parts = append(parts, k.part())
		}
	}
	return parts
}

func compare(me, it string, parts []string) string {
	return fmt.Sprintf(lackingQuery, literal(me), literal(it), strings.Join(parts, " UNION "))
}

// mayBecome is the privilege, for pg_has_role, to SET ROLE to a role.
const mayBecome = "CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END"

// here is the database of the session.
const here = "(SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())"

// actsAs is the role that r's sessions act as: the one in its settings, or r.
const actsAs = `coalesce((SELECT g.oid FROM pg_catalog.pg_db_role_setting s, unnest(s.setconfig) AS setting, pg_catalog.pg_roles g
	WHERE s.setrole = r.oid AND s.setdatabase IN (0, ` + here + `) AND setting = 'role=' || g.rolname AND pg_has_role(r.oid, g.oid, ` + mayBecome + `)
	ORDER BY s.setdatabase DESC LIMIT 1), r.oid)`

// In these queries, me and it are the roles, acts is the role that each acts as,
// and theirs are the dependencies on it in this database and the whole server.
const lackingQuery = `
	WITH me AS (SELECT r.*, ` + actsAs + ` AS acts FROM pg_catalog.pg_roles r WHERE r.rolname = %s),
	it AS (SELECT r.*, ` + actsAs + ` AS acts FROM pg_catalog.pg_roles r WHERE r.rolname = %s),
	acting AS (SELECT r.* FROM me JOIN pg_catalog.pg_roles r ON r.oid = me.acts),
	theirs AS (
		SELECT d.classid, d.objid, d.objsubid, d.deptype
		FROM it JOIN pg_catalog.pg_shdepend d ON d.refclassid = 'pg_catalog.pg_authid'::regclass AND d.refobjid = it.oid
		WHERE d.dbid IN (0, ` + here + `)
	)
	SELECT lack::text FROM (%s) AS lacks (lack) WHERE lack IS NOT NULL ORDER BY lack NOT LIKE 'ownership of %%', 1 LIMIT 20`

// attributesPart compares what a session has through the role it acts as.
const attributesPart = `
	SELECT name FROM me, it, acting a, LATERAL (VALUES
		('SUPERUSER', it.rolsuper AND NOT a.rolsuper), ('CREATEROLE', it.rolcreaterole AND NOT a.rolcreaterole),
		('CREATEDB', it.rolcreatedb AND NOT a.rolcreatedb), ('BYPASSRLS', it.rolbypassrls AND NOT a.rolbypassrls),
		('INHERIT', it.rolinherit AND NOT a.rolinherit AND current_setting('server_version_num')::int < 160000)
	) AS attribute (name, lacks) WHERE lacks`

// loginPart compares what the login itself must have. An end that has passed is
// how a role is deactivated, which says nothing about what its consumers need.
const loginPart = `
	SELECT 'REPLICATION' FROM me, it WHERE it.rolreplication AND NOT me.rolreplication
	UNION SELECT CASE WHEN it.rolconnlimit < 0 THEN 'no CONNECTION LIMIT' ELSE 'CONNECTION LIMIT ' || it.rolconnlimit END || ' (its own is ' || me.rolconnlimit || ')' FROM me, it
		WHERE me.rolconnlimit >= 0 AND (it.rolconnlimit > me.rolconnlimit OR it.rolconnlimit < 0)
	UNION SELECT CASE WHEN isfinite(it.rolvaliduntil) THEN 'VALID UNTIL ' || to_char(it.rolvaliduntil, 'YYYY-MM-DD') ELSE 'no VALID UNTIL' END || ' (its own is ' || to_char(me.rolvaliduntil, 'YYYY-MM-DD') || ')' FROM me, it
		WHERE it.rolcanlogin AND me.rolvaliduntil > clock_timestamp() AND me.rolvaliduntil < coalesce(it.rolvaliduntil, 'infinity')`

// actsPart compares the default roles. One of the two may act as the other, and
// otherwise they act as the same third, or each as itself.
const actsPart = `
	SELECT 'role ' || g.rolname || ' as its default' FROM me, it JOIN pg_catalog.pg_roles g ON g.oid = it.acts
		WHERE it.acts NOT IN (it.oid, me.acts)
	UNION SELECT 'its own role, not ' || g.rolname || ', as its default' FROM it, me JOIN pg_catalog.pg_roles g ON g.oid = me.acts
		WHERE me.acts NOT IN (me.oid, it.acts)`

const membershipsPart = `
	SELECT CASE privilege WHEN 'USAGE' THEN 'the privileges of role ' WHEN 'MEMBER WITH ADMIN OPTION' THEN 'ADMIN OPTION on role ' ELSE 'SET ROLE to ' END || g.rolname
	FROM me, it JOIN pg_catalog.pg_auth_members m ON m.member = it.oid JOIN pg_catalog.pg_roles g ON g.oid = m.roleid,
		LATERAL (VALUES ('USAGE'), ('MEMBER WITH ADMIN OPTION'), (` + mayBecome + `)) AS privileges (privilege)
	WHERE g.oid NOT IN (me.oid, me.acts) AND pg_has_role(it.oid, g.oid, privilege)
		AND NOT pg_has_role(me.oid, g.oid, privilege) AND NOT pg_has_role(me.acts, g.oid, privilege)`

// settingsPart compares in both directions: a setting that only "me" has changes
// what a consumer's statements do just as much. Values may be secret.
const settingsPart = `
	SELECT 'the same setting ' || split_part(setting, '=', 1) || coalesce(' in database ' || d.datname, '')
	FROM me, it, LATERAL (
		(SELECT s.setdatabase, unnest(s.setconfig) FROM pg_catalog.pg_db_role_setting s WHERE s.setrole = it.oid
			EXCEPT SELECT s.setdatabase, unnest(s.setconfig) FROM pg_catalog.pg_db_role_setting s WHERE s.setrole = me.oid)
		UNION (SELECT s.setdatabase, unnest(s.setconfig) FROM pg_catalog.pg_db_role_setting s WHERE s.setrole = me.oid
			EXCEPT SELECT s.setdatabase, unnest(s.setconfig) FROM pg_catalog.pg_db_role_setting s WHERE s.setrole = it.oid)
	) AS settings (setdatabase, setting) LEFT JOIN pg_catalog.pg_database d ON d.oid = setdatabase
	WHERE split_part(setting, '=', 1) <> 'role'`

const labelsPart = `
	SELECT 'the same security label of ' || provider FROM me, it, LATERAL (
		(SELECT l.provider, l.label FROM pg_catalog.pg_shseclabel l WHERE l.classoid = 'pg_catalog.pg_authid'::regclass AND l.objoid = it.oid
			EXCEPT SELECT l.provider, l.label FROM pg_catalog.pg_shseclabel l WHERE l.classoid = 'pg_catalog.pg_authid'::regclass AND l.objoid IN (me.oid, me.acts))
		UNION (SELECT l.provider, l.label FROM pg_catalog.pg_shseclabel l WHERE l.classoid = 'pg_catalog.pg_authid'::regclass AND l.objoid = me.oid
			EXCEPT SELECT l.provider, l.label FROM pg_catalog.pg_shseclabel l WHERE l.classoid = 'pg_catalog.pg_authid'::regclass AND l.objoid IN (it.oid, it.acts))
	) AS labels (provider, label)`

const mappingsPart = `
	SELECT 'a user mapping for server ' || u.srvname FROM me, it JOIN pg_catalog.pg_user_mappings u ON u.umuser = it.oid
	WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_user_mappings m WHERE m.srvid = u.srvid AND m.umuser IN (0, me.acts))`

// policiesPart compares row security by effect. A permissive policy lets a role
// see rows, so "me" needs one wherever "it" has one. A restrictive policy hides
// rows, so "it" must be under one wherever "me" is. Two policies that say the same
// count as one, and a role that row security doesn't apply to needs none.
var policiesPart = `
	SELECT CASE WHEN p.polpermissive THEN 'policy ' ELSE 'freedom from the restrictive policy ' END || quote_ident(p.polname) || ' on ' || p.polrelid::regclass
	FROM me, it, pg_catalog.pg_policy p JOIN pg_catalog.pg_class o ON o.oid = p.polrelid, LATERAL (VALUES
		(p.polpermissive AND ` + covers("p", "it.acts") + ` AND NOT ` + alike("me.acts") + ` AND NOT ` + exempt("me.acts") + `
		OR NOT p.polpermissive AND ` + covers("p", "me.acts") + ` AND NOT ` + exempt("me.acts") + ` AND (` + exempt("it.acts") + ` OR NOT ` + alike("it.acts") + `))
	) AS policy (lacks) WHERE lacks`

// covers is whether a policy applies to a role.
func covers(policy, role string) string {
	return "EXISTS (SELECT FROM unnest(" + policy + ".polroles) AS named (role) WHERE CASE named.role WHEN 0 THEN true ELSE pg_has_role(" + role + ", named.role, 'USAGE') END)"
}

// alike is whether policy p, or one that says the same, applies to a role.
func alike(role string) string {
	return `EXISTS (SELECT FROM pg_catalog.pg_policy q WHERE q.polrelid = p.polrelid AND q.polcmd = p.polcmd AND q.polpermissive = p.polpermissive
			AND pg_get_expr(q.polqual, q.polrelid) IS NOT DISTINCT FROM pg_get_expr(p.polqual, p.polrelid)
			AND pg_get_expr(q.polwithcheck, q.polrelid) IS NOT DISTINCT FROM pg_get_expr(p.polwithcheck, p.polrelid) AND ` + covers("q", role) + ")"
}

// exempt is whether a role sees all rows of table o.
func exempt(role string) string {
	return "((SELECT r.rolsuper OR r.rolbypassrls FROM pg_catalog.pg_roles r WHERE r.oid = " + role + ") OR NOT o.relforcerowsecurity AND pg_has_role(" + role + ", o.relowner, 'USAGE'))"
}

// policiesElsewherePart compares in both directions which policies in other
// databases name the roles: whether those are restrictive can't be seen from here.
const policiesElsewherePart = `
	SELECT 'the same row security policies in database ' || b.datname
	FROM (SELECT dbid, objid FROM me JOIN pg_catalog.pg_roles r ON pg_has_role(me.acts, r.oid, 'USAGE') JOIN pg_catalog.pg_shdepend d ON d.refobjid = r.oid
			WHERE d.refclassid = 'pg_catalog.pg_authid'::regclass AND d.deptype = 'r') AS mine
	FULL JOIN (SELECT dbid, objid FROM it JOIN pg_catalog.pg_roles r ON pg_has_role(it.acts, r.oid, 'USAGE') JOIN pg_catalog.pg_shdepend d ON d.refobjid = r.oid
			WHERE d.refclassid = 'pg_catalog.pg_authid'::regclass AND d.deptype = 'r') AS its USING (dbid, objid)
	JOIN pg_catalog.pg_database b ON b.oid = dbid AND b.datname <> current_database()
	WHERE mine IS NULL OR its IS NULL`

// ownershipParts are what only an owner may do: alter and drop. What the owner's
// other roles need for that is to have the owner's privileges. Default privileges
// and user mappings, which the catalog counts as owned, are compared by themselves,
// and what's temporary ends with its session.
var ownershipParts = []string{`
	SELECT 'ownership of ' || owned FROM (
		SELECT pg_describe_object(t.classid, t.objid, t.objsubid)
		FROM me, it, theirs t, LATERAL pg_identify_object(t.classid, t.objid, t.objsubid) AS o
		WHERE t.deptype = 'o' AND NOT pg_has_role(me.oid, it.oid, 'USAGE') AND NOT pg_has_role(me.acts, it.oid, 'USAGE')
			AND ` + ownable("t") + ` AND coalesce(o.schema, '') !~ '^pg_temp' LIMIT 20) AS objects (owned)`, `
	SELECT 'ownership of an object in database ' || b.datname FROM me, it, pg_catalog.pg_database b
	WHERE b.datname <> current_database() AND NOT pg_has_role(me.oid, it.oid, 'USAGE') AND NOT pg_has_role(me.acts, it.oid, 'USAGE') AND EXISTS (
		SELECT FROM pg_catalog.pg_shdepend d WHERE d.refclassid = 'pg_catalog.pg_authid'::regclass AND d.refobjid = it.oid AND d.dbid = b.oid
			AND d.deptype = 'o' AND ` + ownable("d") + ")"}

func ownable(dependency string) string {
	return dependency + ".classid NOT IN ('pg_catalog.pg_default_acl'::regclass, 'pg_catalog.pg_user_mapping'::regclass)"
}

// largeObjectsPart spells out what has_largeobject_privilege does, which is new
// in PostgreSQL 18.
const largeObjectsPart = `
	SELECT acl.privilege_type || ' on large object ' || o.oid
	FROM me, it, theirs t JOIN pg_catalog.pg_largeobject_metadata o ON t.classid = 'pg_catalog.pg_largeobject'::regclass AND o.oid = t.objid,
		aclexplode(coalesce(o.lomacl, acldefault('L', o.lomowner))) AS acl
	WHERE t.deptype = 'a' AND acl.grantee = it.oid AND NOT EXISTS (
		SELECT FROM aclexplode(coalesce(o.lomacl, acldefault('L', o.lomowner))) AS mine
		WHERE mine.privilege_type = acl.privilege_type AND mine.is_grantable >= acl.is_grantable
			AND CASE mine.grantee WHEN 0 THEN true ELSE pg_has_role(me.oid, mine.grantee, 'USAGE') OR pg_has_role(me.acts, mine.grantee, 'USAGE') END)`

// future is what a default privilege is about, in words.
const future = `' on future ' || CASE a.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types'
	WHEN 'n' THEN 'schemas' WHEN 'L' THEN 'large objects' ELSE 'objects' END || coalesce(' in schema ' || n.nspname, '')`

// futurePart is what the two will be granted on what others create.
const futurePart = `
	SELECT acl.privilege_type || ` + future + ` || ' of role ' || pg_get_userbyid(a.defaclrole)
	FROM me, it, pg_catalog.pg_default_acl a LEFT JOIN pg_catalog.pg_namespace n ON n.oid = a.defaclnamespace, aclexplode(a.defaclacl) AS acl
	WHERE acl.grantee = it.oid AND a.defaclrole NOT IN (it.oid, me.acts) AND NOT EXISTS (
		SELECT FROM aclexplode(a.defaclacl) AS mine
		WHERE mine.privilege_type = acl.privilege_type AND mine.is_grantable >= acl.is_grantable
			AND CASE mine.grantee WHEN 0 THEN true ELSE pg_has_role(me.oid, mine.grantee, 'USAGE') OR pg_has_role(me.acts, mine.grantee, 'USAGE') END)`

// defaultsPart is what others are granted on what the two create. A default for
// all schemas replaces what the server grants by itself, and so may take away.
var defaultsPart = `
	SELECT acl.privilege_type || ` + future + ` || ' that it creates, for ' || CASE acl.grantee WHEN 0 THEN 'PUBLIC' WHEN it.acts THEN 'itself' ELSE pg_get_userbyid(acl.grantee) END
	FROM me, it, LATERAL (
		SELECT DISTINCT d.defaclnamespace, d.defaclobjtype FROM pg_catalog.pg_default_acl d WHERE d.defaclrole IN (it.acts, me.acts)) AS a
		LEFT JOIN pg_catalog.pg_namespace n ON n.oid = a.defaclnamespace,
		aclexplode(` + defaultACL("it.acts") + `) AS acl
	WHERE it.acts <> me.acts AND NOT EXISTS (
		SELECT FROM aclexplode(` + defaultACL("me.acts") + `) AS mine
		WHERE mine.privilege_type = acl.privilege_type AND mine.is_grantable >= acl.is_grantable
			AND mine.grantee = CASE acl.grantee WHEN it.acts THEN me.acts ELSE acl.grantee END)`

// defaultACL is a role's default privileges for a kind of object and a schema.
func defaultACL(role string) string {
	return `coalesce((SELECT e.defaclacl FROM pg_catalog.pg_default_acl e
			WHERE e.defaclrole = ` + role + ` AND e.defaclnamespace = a.defaclnamespace AND e.defaclobjtype = a.defaclobjtype),
		CASE WHEN a.defaclnamespace = 0 THEN acldefault(CASE a.defaclobjtype WHEN 'S' THEN 's' ELSE a.defaclobjtype END, ` + role + `) END)`
}

// privilegesElsewherePart compares grants in other databases, whose catalogs this
// session can't read, by object only; default privileges and user mappings by
// whether there are any.
var privilegesElsewherePart = `
	SELECT 'privileges on an object in database ' || b.datname
	FROM me, it JOIN pg_catalog.pg_shdepend d ON d.refclassid = 'pg_catalog.pg_authid'::regclass AND d.refobjid = it.oid
	JOIN pg_catalog.pg_database b ON b.oid = d.dbid AND b.datname <> current_database()
	WHERE (d.deptype = 'a' OR d.deptype = 'o' AND NOT ` + ownable("d") + `) AND NOT EXISTS (
		SELECT FROM pg_catalog.pg_shdepend m
		WHERE m.dbid = d.dbid AND m.classid = d.classid AND (m.objid = d.objid AND m.objsubid IN (0, d.objsubid) OR NOT ` + ownable("d") + `)
			AND m.refclassid = 'pg_catalog.pg_authid'::regclass AND m.deptype IN ('a', 'o')
			AND (pg_has_role(me.oid, m.refobjid, 'USAGE') OR pg_has_role(me.acts, m.refobjid, 'USAGE')))`

// kind is a kind of object with privileges.
type kind struct {
	catalog, acl string
	standard     string // acldefault of an object without ACL; "" for no one
	has          string // the function that looks for a privilege
	object       string // its argument
	name         string // what to call the object
	where        string
	since        int // the version of PostgreSQL that introduced it
}

// kinds are all kinds of objects with privileges, except large objects.
var kinds = []kind{
	{catalog: "pg_class", acl: "o.relacl", standard: "acldefault('r', o.relowner)", has: "has_table_privilege", object: "o.oid", name: "o.oid::regclass", where: "t.objsubid = 0 AND o.relkind IN ('r', 'p', 'v', 'm', 'f')"},
	{catalog: "pg_class", acl: "o.relacl", standard: "acldefault('s', o.relowner)", has: "has_sequence_privilege", object: "o.oid", name: "o.oid::regclass", where: "o.relkind = 'S'"},
	{catalog: "pg_proc", acl: "o.proacl", standard: "acldefault('f', o.proowner)", has: "has_function_privilege", object: "o.oid", name: "o.oid::regprocedure"},
	{catalog: "pg_namespace", acl: "o.nspacl", standard: "acldefault('n', o.nspowner)", has: "has_schema_privilege", object: "o.oid", name: "'schema ' || o.nspname"},
	{catalog: "pg_database", acl: "o.datacl", standard: "acldefault('d', o.datdba)", has: "has_database_privilege", object: "o.oid", name: "'database ' || o.datname"},
	{catalog: "pg_type", acl: "o.typacl", standard: "acldefault('T', o.typowner)", has: "has_type_privilege", object: "o.oid", name: "'type ' || o.oid::regtype"},
	{catalog: "pg_language", acl: "o.lanacl", standard: "acldefault('l', o.lanowner)", has: "has_language_privilege", object: "o.oid", name: "'language ' || o.lanname"},
	{catalog: "pg_foreign_data_wrapper", acl: "o.fdwacl", standard: "acldefault('F', o.fdwowner)", has: "has_foreign_data_wrapper_privilege", object: "o.oid", name: "'foreign data wrapper ' || o.fdwname"},
	{catalog: "pg_foreign_server", acl: "o.srvacl", standard: "acldefault('S', o.srvowner)", has: "has_server_privilege", object: "o.oid", name: "'foreign server ' || o.srvname"},
	{catalog: "pg_tablespace", acl: "o.spcacl", standard: "acldefault('t', o.spcowner)", has: "has_tablespace_privilege", object: "o.oid", name: "'tablespace ' || o.spcname"},
	{catalog: "pg_parameter_acl", acl: "o.paracl", has: "has_parameter_privilege", object: "o.parname", name: "'parameter ' || o.parname", since: 150000},
	{catalog: "pg_class", acl: "(SELECT c.attacl FROM pg_catalog.pg_attribute c WHERE c.attrelid = o.oid AND c.attnum = t.objsubid)", has: "has_column_privilege", object: "o.oid, t.objsubid::int2",
		name: "'column ' || o.oid::regclass || '.' || (SELECT quote_ident(c.attname) FROM pg_catalog.pg_attribute c WHERE c.attrelid = o.oid AND c.attnum = t.objsubid)", where: "t.objsubid > 0"},
}

// part is the part of the query for this kind, without the objects that "it" owns.
// The function is only called for objects that it knows.
func (k kind) part() string {
	acl, where := k.acl, cmp.Or(k.where, "true")
	if k.standard != "" {
		acl = "coalesce(" + acl + ", " + k.standard + ")"
	}
	const option = "CASE WHEN acl.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END"
	lacks := func(role string) string {
		return fmt.Sprintf("NOT %s(%s, %s, acl.privilege_type || %s)", k.has, role, k.object, option)
	}
	return fmt.Sprintf(`
	SELECT acl.privilege_type || ' on ' || %s || %s
	FROM me, it, theirs t JOIN pg_catalog.%s o ON t.classid = 'pg_catalog.%[3]s'::regclass AND o.oid = t.objid, aclexplode(%s) AS acl
	WHERE t.deptype = 'a' AND acl.grantee = it.oid AND CASE WHEN %s THEN %s AND %s ELSE false END`,
		k.name, option, k.catalog, acl, where, lacks("me.oid"), lacks("me.acts"))
}

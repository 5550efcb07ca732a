//go:build linux

package canary

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/gitlab/gitlabtest"
	"github.com/rota-dev/rota/provider/vault/vaulttest"
)

const servicesConfig = `
connections:
  db: {mysql: {host: %[1]s, port: %[2]d, username: rota_admin, password: "${file:%[3]s/in/admin}", send_passwords: %[8]t}}
  crm: {mysql: {host: %[18]s, username: rota_admin, password: "${file:%[3]s/in/admin}", send_passwords: %[8]t}}
  cache: {redis: {addresses: [%[4]s], username: rota, password: "${file:%[3]s/in/admin}"}}
  lab: {gitlab: {url: "%[5]s", token: "${file:%[3]s/in/lab}"}}
  api: {http: {url: "%[6]s", headers: {Authorization: "Bearer ${file:%[3]s/in/api}"}, allow_private: true}}
  mq: {rabbitmq: {url: "%[10]s", amqp: "%[11]s", username: rota, password: "${file:%[3]s/in/admin}", send_passwords: %[8]t}}
  directory: {ldap: {url: "%[13]s", bind_dn: "cn=rota,dc=example,dc=com", password: "${file:%[3]s/in/admin}"}}
  docs: {mongodb: {hosts: ["%[15]s"], username: rota, password: "${file:%[3]s/in/admin}"}}
  shards: {mongodb: {hosts: ["%[16]s"], username: rota, password: "${file:%[3]s/in/admin}"}}
  wrong-docs: {mongodb: {hosts: ["%[17]s"], username: rota, password: "${file:%[3]s/in/wrong}", timeout: 1s}}
  vault: {vault: {address: "%[19]s", token: "${file:%[3]s/in/vault}"}}
  wrong-vault: {vault: {address: "%[20]s", token: "${file:%[3]s/in/wrong}"}}
  wrong-directory: {ldap: {url: "%[14]s", bind_dn: "cn=rota,dc=example,dc=com", password: "${file:%[3]s/in/wrong}"}}
  wrong-db: {mysql: {host: %[1]s, port: %[2]d, username: rota_admin, password: "${file:%[3]s/in/wrong}"}}
  wrong-cache: {redis: {addresses: [%[4]s], username: rota, password: "${file:%[3]s/in/wrong}"}}
  wrong-mq: {rabbitmq: {url: "%[12]s", username: rota, password: "${file:%[3]s/in/wrong}"}}
  wrong-lab: {gitlab: {url: "%[5]s", token: "${file:%[3]s/in/wrong}"}}
  wrong-api: {http: {url: "%[9]s", headers: {Authorization: "Bearer ${file:%[3]s/in/wrong}"}, allow_private: true}}
  page: {command: {run: [%[3]s/in/spy.sh, page]}}
defaults:
  policy: {deactivate_previous_after: 0s, delete_previous_after: 0s, unused_for: 1ms, late_after: 1ms}
  notify: [page]
secrets:
  - name: orders
    issuer: {connection: db, mysql_password: {user: orders}}
    test: {mysql_query: "%[7]s"}
    targets:
      - {name: ci, gitlab_variables: {connection: lab, project: shop/api, variables: {DB_PASSWORD: password, DB_URL: "mysql://{username}:{password|url}@db/shop"}}}
      - {name: settings, http_request: {connection: api, path: /settings/orders, body: '{"user": "{username}", "password": "{password}"}', headers: {X-Password: "{password}"}}}
    reload:
      - {name: deploy, gitlab_pipeline: {connection: lab, project: shop/api, ref: main, version_variable: VERSION}}
      - {name: shop, http_request: {connection: api, path: /deploys, body: '{"version": "{version}"}', until: {path: /deploys/last, at: running, is: "{version}"}}}
  - name: pair
    issuer: {connection: db, mysql_alternating: {users: [pair_a, pair_b]}}
    targets: [{name: ci, gitlab_variables: {connection: lab, group: shop, wait_for: [shop/api], file: DB}}]
    reload: [{name: pair, command: {run: [%[3]s/in/spy.sh, pair]}}]
    policy: {rotate_every: 30d}
  - name: customers
    issuer: {connection: crm, mysql_dual_password: {user: customers}}
    test: {mysql_query: "%[7]s"}
    reload: [{name: carts, command: {run: [%[3]s/in/spy.sh, carts]}}]
  - name: carts
    issuer: {connection: cache, redis_password: {user: carts}}
    test: {redis_command: "GET carts:health"}
    targets: [{name: json, file: {path: %[3]s/targets/carts.json, format: json}}]
    reload: [{name: carts, command: {run: [%[3]s/in/spy.sh, carts, %[3]s/targets/carts.json]}}]
  - name: queue
    issuer: {connection: mq, rabbitmq_user: {user: queue}}
    reload: [{name: carts, command: {run: [%[3]s/in/spy.sh, carts]}}]
  - name: queues
    issuer: {connection: mq, rabbitmq_alternating: {users: [queue_a, queue_b]}}
  - name: entry
    issuer: {connection: directory, ldap_password: {dn: "cn=entry,ou=apps,dc=example,dc=com"}}
    reload: [{name: carts, command: {run: [%[3]s/in/spy.sh, carts]}}]
  - name: entries
    issuer: {connection: directory, ldap_password: {dn: "cn=entries,ou=apps,dc=example,dc=com", passwords: 2}}
  - name: doc
    issuer: {connection: docs, mongodb_password: {user: doc}}
    test: {mongodb_command: {command: '{"ping": 1}'}}
    reload: [{name: carts, command: {run: [%[3]s/in/spy.sh, carts]}}]
  - name: docs
    issuer: {connection: shards, mongodb_alternating: {users: [doc_a, doc_b]}}
    test: {mongodb_command: {command: '{"count": "orders"}', database: shop}}
  - name: approle
    issuer: {connection: vault, vault_secret_id: {role: orders, num_uses: 100000}}
    targets: [{name: entry, vault_kv: {connection: vault, mount: secret, path: apps/orders}}]
  - name: static
    issuer: {connection: vault, vault_static_role: {role: orders}}
    targets: [{name: entry, vault_kv: {connection: vault, mount: secret, path: apps/static}}]
  - name: lease
    issuer: {connection: vault, vault_lease: {role: orders, ttl: 24h}}
    policy: {}
    targets: [{name: entry, vault_kv: {connection: vault, mount: secret, path: apps/lease}}]
  - name: bot
    issuer: {connection: lab, gitlab_project_token: {project: shop/api, name: bot, scopes: [read_api], role: developer}}
    targets: [{name: settings, http_request: {connection: api, path: /settings/bot, body: '{"token": "{token}"}'}}]
  - name: nightly
    issuer: {connection: lab, gitlab_trigger_token: {project: shop/api, name: nightly}}
  - name: puller
    issuer: {connection: lab, gitlab_deploy_token: {project: shop/api, name: puller, scopes: [read_registry, read_repository]}}
    targets: [{name: settings, http_request: {connection: api, path: /settings/puller, body: '{"user": "{username}", "token": "{token}"}'}}]
  - name: key
    issuer:
      connection: api
      http_key:
        create: {path: /keys, body: '{"name": "{name}"}', fields: {id: id, key: value}}
        list: {path: /keys, id: id, name: name, created: created, used: used, active: on}
        test: {path: /me, headers: {Authorization: "Bearer {key}"}}
        delete: {path: "/keys/{id}"}
        deactivate: {path: "/keys/{id}/off"}
        reactivate: {path: "/keys/{id}/on"}
    targets: [{name: ci, gitlab_variables: {connection: lab, project: shop/api, variables: {API_KEY: key}}}]
  - {name: wrong-db, issuer: {connection: wrong-db, mysql_password: {user: orders2}}}
  - {name: wrong-cache, issuer: {connection: wrong-cache, redis_password: {user: carts2}}}
  - {name: wrong-mq, issuer: {connection: wrong-mq, rabbitmq_user: {user: queue2}}}
  - {name: wrong-docs, issuer: {connection: wrong-docs, mongodb_password: {user: doc2}}}
  - {name: wrong-directory, issuer: {connection: wrong-directory, ldap_password: {dn: "cn=entry2,ou=apps,dc=example,dc=com"}}}
  - {name: wrong-vault, issuer: {connection: wrong-vault, vault_static_role: {role: others}}}
  - {name: wrong-lab, issuer: {connection: wrong-lab, gitlab_trigger_token: {project: shop/api, name: other}}}
  - name: wrong-api
    issuer:
      connection: wrong-api
      http_key:
        create: {path: /keys, body: '{"name": "{name}"}', fields: {id: id, key: value}}
        list: {path: /keys, id: id, name: name}
        test: {path: /me, headers: {Authorization: "Bearer {key}"}}
        delete: {path: "/keys/{id}"}
`

// line records the addresses that are asked for, which no value may be in, and
// fails what it's told to while repeating everything it was sent, as careless
// servers do.
type line struct {
	next http.Handler
	done func(r *http.Request)

	mu    sync.Mutex
	seen  bytes.Buffer
	fails string // a part of the method and path of what fails
}

func (l *line) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	what := r.Method + " " + r.RequestURI
	fmt.Fprintln(&l.seen, what)
	fails := l.fails != "" && strings.Contains(what, l.fails)
	l.mu.Unlock()
	if fails {
		var body bytes.Buffer
		_, _ = body.ReadFrom(r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"message": %q}`, fmt.Sprintf("%s: %v: %s", what, r.Header, body.String()))
		return
	}
	l.next.ServeHTTP(w, r)
	l.done(r)
}

func (l *line) fail(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fails = what
}

// playServices plays the lives of what MariaDB, MySQL, Redis, RabbitMQ, LDAP, MongoDB,
// GitLab and an HTTP API issue, which is handed to the latter two.
func playServices(t *testing.T, l *ledger) {
	db := testenv.MariaDB(t, testenv.MariaDBOptions{})
	crm := testenv.MySQL(t, testenv.MySQLOptions{})
	cache := testenv.Redis(t, testenv.RedisOptions{})
	w := newWorld(t, l, "orders", "pair", "customers", "carts", "queue", "queues", "entry", "entries", "doc", "docs", "approle", "static", "lease", "bot", "nightly", "puller", "key")
	known := func(what, value string) string {
		w.secret(what, value)
		return value
	}
	admin := known("the administrators' password", "admin+canary/2Bq8<s>Vn4")
	wrong := known("a wrong administrator's password", "wrong-canary-9Lm3Xp7Tz")
	lab := known("GitLab's administrator's token", gitlabtest.AdminToken)
	keeper := known("Vault's root token", vaulttest.RootToken)
	apiAdmin := known("the API's administrator's token", "api-canary-4Wd6Jr1Fs")
	for name, value := range map[string]string{"admin": admin, "wrong": wrong, "lab": lab, "vault": keeper, "api": apiAdmin} {
		w.file("in/"+name, value, 0o600)
	}
	// The superuser's own statements hold passwords, and aren't Rota's.
	db.Exec(t, "SET GLOBAL general_log = 0", "SET SESSION sql_log_bin = 0", "CREATE USER rota_admin IDENTIFIED BY '"+admin+"'",
		"SET SESSION sql_log_bin = 1", "GRANT ALL ON *.* TO rota_admin WITH GRANT OPTION",
		"CREATE USER orders ACCOUNT LOCK", "CREATE USER pair_a ACCOUNT LOCK", "CREATE USER pair_b ACCOUNT LOCK", "CREATE USER orders2 ACCOUNT LOCK", "SET GLOBAL general_log = 1")
	crm.Exec(t, "CREATE USER rota_admin IDENTIFIED BY '"+admin+"'", "GRANT ALL ON *.* TO rota_admin WITH GRANT OPTION", "CREATE USER customers ACCOUNT LOCK")
	cache.Do(t, "acl", "setuser", "rota", "on", "+@all", "~*", ">"+admin)
	cache.Do(t, "acl", "setuser", "carts", "on", "~carts:*", "+get")
	rabbit := testenv.RabbitMQ(t, testenv.RabbitMQOptions{})
	rabbit.Do(t, http.MethodPut, "/users/rota", map[string]any{"password": admin, "tags": "administrator"}, nil)
	for _, name := range []string{"queue", "queue_a", "queue_b", "queue2"} {
		rabbit.Do(t, http.MethodPut, "/users/"+name, map[string]any{"password_hash": "", "tags": ""}, nil)
	}
	slapd := testenv.StartSlapd(t, testenv.SlapdOptions{Modules: []string{"ppolicy"}, Lines: "overlay ppolicy\nppolicy_default cn=policy,dc=example,dc=com\n"})
	slapd.AddAccount(t, "cn=rota,dc=example,dc=com", admin)
	for _, name := range []string{"entry", "entries", "entry2"} {
		slapd.AddAccount(t, "cn="+name+",ou=apps,dc=example,dc=com", "")
	}
	ferret, shards := mongoDBs(t, admin)
	management, err := url.Parse(rabbit.API)
	w.must(err)
	mq := &line{next: httputil.NewSingleHostReverseProxy(management), done: func(*http.Request) {}}
	server := gitlabtest.New()
	t.Cleanup(server.Close)
	server.SetJobs("shop/api", gitlabtest.Job{Name: "deploy", Environment: "production"})
	git := &line{next: server.Config.Handler, done: func(r *http.Request) {
		if r.Method == http.MethodPost && strings.Contains(r.URL.Path, "/pipeline") {
			for _, p := range server.Pipelines("shop/api") {
				server.Finish(p.ID)
			}
		}
	}}
	api := &line{next: testenv.NewKeyAPI(apiAdmin, time.Now), done: func(*http.Request) {}}
	engines := vaulttest.New()
	t.Cleanup(engines.Close)
	engines.AddRole("approle", "orders")
	engines.AddStaticRole("database", "orders", "orders_app")
	engines.AddDynamicRole("database", "orders", time.Hour, 48*time.Hour)
	vaulttest.Of(engines).Do(t, http.MethodPost, "sys/mounts/secret", map[string]any{"type": "kv", "options": map[string]string{"version": "2"}})
	vault := &line{next: engines.Config.Handler, done: func(*http.Request) {}}
	var addresses []string
	for _, one := range []*line{git, api, mq, api, vault, vault} { // the second ones for wrong-api and wrong-vault
		listener := httptest.NewServer(one)
		t.Cleanup(listener.Close)
		addresses = append(addresses, listener.URL)
	}
	configure := func(query string, send bool) {
		w.file("rota.yaml", fmt.Sprintf(servicesConfig, db.Host, db.Port, w.dir, cache.Addr, addresses[0], addresses[1], query, send,
			addresses[3], addresses[2], rabbit.AMQP, strings.Replace(addresses[2], "127.0.0.1", "localhost", 1),
			slapd.URL, strings.Replace(slapd.URL, "127.0.0.1", "localhost", 1),
			ferret.Addr, shards.Addr, strings.Replace(ferret.Addr, "127.0.0.1", "localhost", 1), crm.Socket, addresses[4], addresses[5]), 0o600)
	}
	configure("SELECT 1", false)
	all := []string{"rotate", "orders", "pair", "customers", "carts", "queue", "queues", "entry", "entries", "doc", "docs", "approle", "static", "lease", "bot", "nightly", "puller", "key"}

	// Every kind of failure, and then the same with the cause gone.
	w.step("013", "check")
	w.keepOpen()
	w.fails("page", true)
	w.fails("carts", true)
	w.fails("pair", true)
	w.step("013", all...)
	w.fails("carts", false)
	w.fails("pair", false)
	w.fails("page", false)
	w.step("013", all...)
	for _, fault := range []struct {
		at      *line
		what    string
		secrets []string // that meet it
	}{
		{git, "/variables", []string{"orders", "pair", "key"}}, {git, "/pipeline", []string{"orders", "nightly"}}, {git, "/access_tokens", []string{"bot"}},
		{git, "/self", []string{"bot"}}, {git, "/triggers", []string{"nightly"}},
		{git, "/deploy_tokens", []string{"puller"}}, {git, "/jwt/auth", []string{"puller"}}, {git, "/info/refs", []string{"puller"}},
		{api, "/settings/", []string{"orders", "bot"}}, {api, "/deploys", []string{"orders"}}, {api, "POST /keys", []string{"key"}},
		{api, "GET /keys", []string{"key"}}, {api, "/me", []string{"key"}}, {api, "DELETE ", []string{"key"}},
		{vault, "/secret-id", []string{"approle"}}, {vault, "/login", []string{"approle"}}, {vault, "/data/apps", []string{"approle", "static", "lease"}},
		{vault, "/rotate-role", []string{"static"}}, {vault, "/static-creds", []string{"static"}}, {vault, "/creds/", []string{"lease"}}, {vault, "/leases/", []string{"lease"}},
		{mq, "PUT /api/users", []string{"queue", "queues"}}, {mq, "GET /api/users", []string{"queue", "queues"}}, {mq, "/permissions", []string{"queues"}}, {mq, "/connections", []string{"queues"}},
	} {
		fault.at.fail(fault.what)
		w.stepOnce("013", append([]string{"rotate"}, fault.secrets...)...)
		fault.at.fail("")
	}
	w.stepOnce("013", "run", "--all")
	w.step("013", all...)
	configure("SELECT no_such_column FROM no.such_table", false)
	w.step("013", "rotate", "orders", "customers")
	configure("SELECT 1", false)
	w.step("013", "rotate", "orders", "customers")
	configure("SELECT 1", true)
	w.step("013", "rotate", "customers", "queue", "queues")
	configure("SELECT 1", false)
	db.Exec(t, "REVOKE CREATE USER ON *.* FROM rota_admin")
	cache.Do(t, "acl", "setuser", "rota", "-acl|setuser")
	rabbit.Do(t, http.MethodPut, "/users/rota", map[string]any{"password": admin, "tags": "monitoring"}, nil)
	w.step("013", "rotate", "orders", "pair", "carts", "queue", "queues")
	shards.grant("read")
	w.step("013", "rotate", "docs")
	shards.grant("root")
	for _, command := range []string{"updateUser", "usersInfo", "saslStart", "saslContinue", "count", "aggregate"} {
		shards.refuse(command)
		w.stepOnce("013", "rotate", "docs")
	}
	slapd.Set(t, "cn=rota,dc=example,dc=com", "userPassword", "another-canary")
	w.step("013", "rotate", "entry", "entries")
	slapd.Set(t, "cn=rota,dc=example,dc=com", "userPassword", admin)
	rabbit.Do(t, http.MethodPut, "/users/rota", map[string]any{"password": admin, "tags": "administrator"}, nil)
	db.Exec(t, "GRANT CREATE USER ON *.* TO rota_admin")
	cache.Do(t, "acl", "setuser", "rota", "+acl|setuser")
	for _, name := range all[1:] {
		w.stepOnce("013", "rotate", name)
		w.stepOnce("013", "rollback", name)
		w.stepOnce("013", "deliver", name)
		w.stepOnce("013", "rotate", name)
		w.stepOnce("013", "deactivate", name)
		w.stepOnce("013", "delete", name)
	}
	for _, name := range []string{"wrong-db", "wrong-cache", "wrong-mq", "wrong-docs", "wrong-directory", "wrong-vault", "wrong-lab", "wrong-api"} {
		w.step("013", "rotate", name)
		w.stepOnce("01", "check", name)
	}
	w.step("01", "alert")
	w.everyCommand()
	w.step("01", "backup", w.path("data/backup.db"))
	w.gather("")

	w.wrote("MariaDB's logs", db.Logs(t))
	w.wrote("MySQL's logs", crm.Logs(t))
	log, err := os.ReadFile(cache.LogFile())
	w.must(err)
	w.wrote("Redis's log", log)
	for _, name := range []string{"acl", "slowlog"} {
		command := map[string][]any{"acl": {"acl", "log"}, "slowlog": {"slowlog", "get", "-1"}}[name]
		w.wrote("Redis's "+name, fmt.Append(nil, cache.Do(t, command...)))
	}
	w.wrote("RabbitMQ's log", rabbit.Logs(t))
	operations, err := os.ReadFile(slapd.LogFile())
	w.must(err)
	w.wrote("OpenLDAP's log", operations)
	log, err = os.ReadFile(ferret.LogFile())
	w.must(err)
	w.wrote("FerretDB's log", log)
	for name, one := range map[string]*line{"GitLab": git, "the API": api, "RabbitMQ": mq, "Vault": vault} {
		one.mu.Lock()
		w.wrote("the addresses at "+name, one.seen.Bytes())
		one.mu.Unlock()
	}
	for want, in := range map[string][]byte{
		"ALTER USER": db.Logs(t), "RETAIN CURRENT PASSWORD": crm.Logs(t), "DISCARD OLD PASSWORD": crm.Logs(t), "/variables/DB_PASSWORD": git.seen.Bytes(), "/pipeline": git.seen.Bytes(), "/trigger/pipeline": git.seen.Bytes(),
		"PUT /settings/orders": api.seen.Bytes(), "GET /deploys/last": api.seen.Bytes(), "/off": api.seen.Bytes(),
		"POST /v1/auth/approle/role/orders/secret-id": vault.seen.Bytes(), "/rotate-role/orders": vault.seen.Bytes(), "/leases/revoke": vault.seen.Bytes(), "/data/apps/lease": vault.seen.Bytes(),
		"PUT /api/users/queue_b": mq.seen.Bytes(), "invalid credentials": rabbit.Logs(t), "PASSMOD": operations, "MOD attr=userPassword": operations,
		"saslContinue: step failed": log, "saslStart updateUser usersInfo": fmt.Append(nil, shards.tried()),
	} {
		if !bytes.Contains(in, []byte(want)) {
			t.Errorf("nothing has %q: too little was tried", want)
		}
	}
}

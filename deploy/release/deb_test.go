package release

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func thisDeb(t *testing.T) string {
	t.Helper()
	return one(t, "rota_*_"+runtime.GOARCH+".deb")
}

// A deb is installed, used, installed again, upgraded, removed and purged, with
// Debian's own dpkg.
func TestTheDebsWholeLife(t *testing.T) {
	need(t, "dpkg", "dpkg-deb")
	m := built(t)
	host := debian(t)
	install := func(path string) string {
		t.Helper()
		return host.run(t, "dpkg --force-confdef -i '"+path+"'")
	}

	if out := install(thisDeb(t)); !strings.Contains(out, "systemctl enable --now rota") {
		t.Errorf("it doesn't say what's next:\n%s", out)
	}
	for path, want := range map[string]string{
		"/usr/bin/rota":                                  "755 root:root",
		"/etc/rota":                                      "750 root:rota",
		"/etc/rota/rota.yaml":                            "640 root:rota",
		"/var/lib/rota":                                  "700 rota:rota",
		"/usr/lib/systemd/system/rota.service":           "644 root:root",
		"/usr/lib/systemd/system/rota-agent.service":     "644 root:root",
		"/usr/lib/sysusers.d/rota.conf":                  "644 root:root",
		"/usr/share/rota/rota.schema.json":               "644 root:root",
		"/usr/share/doc/rota/copyright":                  "644 root:root",
		"/usr/share/man/man1/rota.1.gz":                  "644 root:root",
		"/usr/share/bash-completion/completions/rota":    "644 root:root",
		"/usr/share/zsh/vendor-completions/_rota":        "644 root:root",
		"/usr/share/fish/vendor_completions.d/rota.fish": "644 root:root",
	} {
		if got := host.run(t, "stat -c '%a %U:%G' "+path); got != want {
			t.Errorf("%s: %s, and not %s", path, got, want)
		}
	}
	if got := host.run(t, "dpkg-query -W -f '${Conffiles}' rota | awk '{print $1}'"); got != "/etc/rota/rota.yaml" {
		t.Errorf("the conffiles are %q", got)
	}
	if got := host.run(t, "dpkg --verify rota"); got != "" {
		t.Errorf("dpkg --verify:\n%s", got)
	}
	if got := host.run(t, "getent passwd rota | cut -d: -f6,7"); got != "/var/lib/rota:/usr/sbin/nologin" {
		t.Errorf("the user has %s", got)
	}
	if got := host.run(t, "rota version"); !strings.HasPrefix(got, "rota "+m.Version+" (commit "+m.Commit[:12]+" of ") {
		t.Errorf("rota version prints %s", got)
	}
	host.run(t, "runuser -u rota -- rota -c /etc/rota/rota.yaml --data-dir /var/lib/rota validate")
	host.run(t, "runuser -u rota -- rota --data-dir /var/lib/rota access bootstrap")
	host.run(t, "man -w rota && man -w rota-serve")

	// The administrator's edits, and their idea of who may read it.
	host.run(t, "echo '# mine' >>/etc/rota/rota.yaml; chmod 600 /etc/rota/rota.yaml")
	edited := func(when string) {
		t.Helper()
		if got := host.run(t, "tail -n 1 /etc/rota/rota.yaml; stat -c '%a %U:%G' /etc/rota/rota.yaml"); got != "# mine\n600 root:rota" {
			t.Errorf("%s, rota.yaml ends with and has:\n%s", when, got)
		}
		host.run(t, "test -s /var/lib/rota/rota.db && test -s /var/lib/rota/rota.key")
	}
	if out := install(thisDeb(t)); strings.Contains(out, "not started") {
		t.Errorf("another installation is taken for the first:\n%s", out)
	}
	edited("installed again")
	next := newerDeb(t)
	install(next)
	edited("upgraded")
	host.run(t, "grep -q 'a newer default' /etc/rota/rota.yaml.dpkg-dist")

	host.run(t, "dpkg -r rota")
	edited("removed")
	if out, code := host.try(t, "ls /usr/bin/rota /usr/lib/systemd/system/rota.service"); code == "0" {
		t.Errorf("removed, it has left:\n%s", out)
	}
	if out := host.run(t, "dpkg -P rota 2>&1"); !strings.Contains(out, "/var/lib/rota is still there") {
		t.Errorf("purged, it says nothing about the data:\n%s", out)
	}
	host.run(t, "test -s /var/lib/rota/rota.db && test -s /var/lib/rota/rota.key && ! test -e /etc/rota/rota.yaml")
}

// newerDeb is the deb with another default and a later version.
func newerDeb(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	command(t, "dpkg-deb", "-R", thisDeb(t), dir)
	for path, change := range map[string][2]string{
		"DEBIAN/control":     {"\nVersion: ", "\nVersion: 99:"},
		"etc/rota/rota.yaml": {"connections: {}", "# a newer default\nconnections: {}"},
	} {
		path = filepath.Join(dir, path)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.Replace(string(text), change[0], change[1], 1)
		if changed == string(text) {
			t.Fatalf("%s has no %q", path, change[0])
		}
		if err := os.WriteFile(path, []byte(changed), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(t.TempDir(), "newer.deb")
	command(t, "dpkg-deb", "-Znone", "--root-owner-group", "-b", dir, out)
	return out
}

// The units are ones that systemd takes, and that leave the daemon and the agent
// little.
func TestTheUnitsAreHardened(t *testing.T) {
	need(t, "systemd-analyze", "dpkg-deb")
	dir := t.TempDir()
	command(t, "dpkg-deb", "-x", thisDeb(t), dir)
	host := debian(t)
	host.run(t, "dpkg -i '"+thisDeb(t)+"'")
	// In tenths: the agent is root, because files get their programs' owners.
	for name, most := range map[string]int{"rota.service": 15, "rota-agent.service": 22} {
		if got := host.run(t, "systemd-analyze verify /usr/lib/systemd/system/"+name+" 2>&1 | grep -i rota || true"); got != "" {
			t.Errorf("systemd-analyze verify:\n%s", got)
		}
		unit := filepath.Join(dir, "usr/lib/systemd/system", name)
		if out, code := host.try(t, fmt.Sprintf("systemd-analyze security --no-pager --offline=yes --threshold=%d '%s'", most, unit)); code != "0" {
			t.Errorf("systemd-analyze security finds more than %d:\n%s", most, out)
		}
	}
}

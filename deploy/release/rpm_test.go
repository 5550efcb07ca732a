package release

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/sassoftware/go-rpmutils"
)

// rpmConfig and rpmKeep are the flags of a configuration file that's never overwritten.
const rpmConfig, rpmKeep = 1, 1 << 4

var rpmArch = map[string]string{"amd64": "x86_64", "arm64": "aarch64"}

// What the deb and the rpm have in different places.
var places = strings.NewReplacer(
	"/usr/share/zsh/vendor-completions/", "/usr/share/zsh/site-functions/",
	"/usr/share/doc/rota/copyright", "/usr/share/licenses/rota/LICENSE",
)

// The rpm has the deb's files, with the same content, owners and modes.
func TestTheRPMHasTheDebsFiles(t *testing.T) {
	need(t, "dpkg-deb", "tar")
	file, err := os.Open(one(t, "rota-*."+rpmArch[runtime.GOARCH]+".rpm"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rpm, err := rpmutils.ReadRpm(file)
	if err != nil {
		t.Fatal(err)
	}
	files, err := rpm.Header.GetFiles()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range files {
		got[f.Name()] = fmt.Sprintf("%o %s:%s %s", f.Mode()&0o7777, f.UserName(), f.GroupName(), f.Digest())
		if keep := f.Flags()&(rpmConfig|rpmKeep) == rpmConfig|rpmKeep; keep != (f.Name() == "/etc/rota/rota.yaml") {
			t.Errorf("%s: an upgrade keeps an edited one: %t", f.Name(), keep)
		}
	}
	want := debFiles(t)
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			t.Errorf("%s: the rpm has %q, the deb %q", name, got[name], want[name])
		}
		delete(got, name)
	}
	for name := range got {
		t.Errorf("the rpm alone has %s", name)
	}
	for tag, script := range map[int]string{rpmutils.PREIN: "preinstall.sh", rpmutils.POSTIN: "postinstall.sh", rpmutils.PREUN: "preremove.sh", rpmutils.POSTUN: "postremove.sh"} {
		text, err := rpm.Header.GetString(tag)
		if err != nil {
			t.Errorf("%s: %v", script, err)
			continue
		}
		if want, err := os.ReadFile("../packages/" + script); err != nil || strings.TrimSpace(text) != strings.TrimSpace(string(want)) {
			t.Errorf("%s isn't the rpm's: %v", script, err)
		}
	}
	unpacked := t.TempDir()
	if err := rpm.ExpandPayload(unpacked); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(unpacked, "usr/bin/rota")
	if err := os.Chmod(program, 0o755); err != nil { // the library leaves modes to its caller
		t.Fatal(err)
	}
	if got := command(t, program, "version"); !strings.HasPrefix(got, "rota "+built(t).Version+" ") {
		t.Errorf("the rpm's rota version prints %s", got)
	}
}

// debFiles has the deb's files by the rpm's names: mode, owner and hash.
func debFiles(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	command(t, "dpkg-deb", "-x", thisDeb(t), dir)
	files := map[string]string{}
	for line := range strings.Lines(command(t, "sh", "-c", "dpkg-deb --fsys-tarfile '"+thisDeb(t)+"' | tar -tv")) {
		field := strings.Fields(line)
		name := strings.TrimSuffix(strings.TrimPrefix(field[5], "."), "/")
		info, err := os.Lstat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		hash := ""
		if info.Mode().IsRegular() {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(text)
			hash = hex.EncodeToString(sum[:])
		} else if name != "/etc/rota" && name != "/var/lib/rota" {
			continue // folders that every system has
		}
		files[places.Replace(name)] = fmt.Sprintf("%o %s %s", info.Mode().Perm(), strings.Replace(field[1], "/", ":", 1), hash)
	}
	return files
}

// The programs for Linux need no other file.
func TestTheProgramsAreStatic(t *testing.T) {
	for _, path := range programs(t, "linux") {
		file, err := elf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range file.Progs {
			if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
				t.Errorf("%s asks for %s", path, p.Type)
			}
		}
		file.Close()
	}
}

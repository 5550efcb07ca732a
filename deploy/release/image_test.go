package release

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

const user = "65532:65532"

// images are the layout's, by platform.
func images(t *testing.T) map[string]v1.Image {
	t.Helper()
	built(t)
	index, err := layout.ImageIndexFromPath(filepath.Join(dist, "image"))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		t.Fatalf("the layout has %v, %v", manifest, err)
	}
	top := manifest.Manifests[0]
	all := map[string]v1.Image{}
	add := func(image v1.Image, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		all[config.OS+"/"+config.Architecture] = image
	}
	if top.MediaType.IsImage() {
		add(index.Image(top.Digest))
		return all
	}
	inner, err := index.ImageIndex(top.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if manifest, err = inner.IndexManifest(); err != nil {
		t.Fatal(err)
	}
	for _, m := range manifest.Manifests {
		add(inner.Image(m.Digest))
	}
	return all
}

func thisImage(t *testing.T) v1.Image {
	t.Helper()
	all := images(t)
	image := all["linux/"+runtime.GOARCH]
	if image == nil {
		t.Fatalf("dist/image has none for linux/%s", runtime.GOARCH)
	}
	return image
}

// unpack writes an image's files to a folder, which becomes root's and the user's.
func unpack(t *testing.T, image v1.Image) string {
	t.Helper()
	dir := t.TempDir()
	in := mutate.Extract(image)
	defer in.Close()
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		switch h.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(path, 0o755)
		case tar.TypeReg:
			var content []byte
			if content, err = io.ReadAll(r); err == nil {
				err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644))
			}
		default:
			t.Fatalf("%s is neither a file nor a folder", h.Name)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, h.FileInfo().Mode()); err != nil {
			t.Fatal(err)
		}
		if os.Getuid() == 0 {
			if err := os.Lchown(path, h.Uid, h.Gid); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// What the image says about itself, for each platform.
func TestTheImageIsLabeled(t *testing.T) {
	m := built(t)
	all := images(t)
	source := "https://" + strings.TrimSpace(command(t, "go", "-C", "../..", "list", "-m"))
	for platform, image := range all {
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		manifest, err := image.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		for key, want := range map[string]string{"source": source, "revision": m.Commit, "version": m.Version, "licenses": "Apache-2.0"} {
			key = "org.opencontainers.image." + key
			if config.Config.Labels[key] != want || manifest.Annotations[key] != want {
				t.Errorf("%s: %s is %q as a label and %q as an annotation, and not %q", platform, key, config.Config.Labels[key], manifest.Annotations[key], want)
			}
		}
		if config.Config.User != "65532" || len(config.Config.Entrypoint) != 1 || config.Config.Entrypoint[0] != "/ko-app/rota" {
			t.Errorf("%s: it runs %v as %s", platform, config.Config.Entrypoint, config.Config.User)
		}
	}
}

// The image has the archive's program, authorities, the user's folders, and no shell.
func TestTheImageHasWhatItNeeds(t *testing.T) {
	dir := unpack(t, thisImage(t))
	image, err := os.ReadFile(filepath.Join(dir, "ko-app/rota"))
	if err != nil {
		t.Fatal(err)
	}
	archived, err := os.ReadFile(one(t, "linux_"+runtime.GOARCH+"_linux_"+runtime.GOARCH+"*/rota"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(image, archived) {
		t.Error("its program isn't the archive's")
	}
	roots, err := os.ReadFile(filepath.Join(dir, "etc/ssl/certs/ca-certificates.crt"))
	if err != nil || !x509.NewCertPool().AppendCertsFromPEM(roots) || bytes.Count(roots, []byte("BEGIN CERTIFICATE")) < 80 {
		t.Errorf("%d certificate authorities, %v", bytes.Count(roots, []byte("BEGIN CERTIFICATE")), err)
	}
	for path, want := range map[string]os.FileMode{"tmp": 0o777 | os.ModeSticky | os.ModeDir, "var/lib/rota": 0o700 | os.ModeDir, "etc/rota": 0o755 | os.ModeDir} {
		if info, err := os.Stat(filepath.Join(dir, path)); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	files := 0
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files++
		}
		return err
	})
	if err != nil || files != 4 {
		t.Errorf("it has %d files (%v), and not just the program, the authorities, passwd and group", files, err)
	}
}

// The image's program works as an ordinary user on a root that nobody can write to.
func TestTheImageRuns(t *testing.T) {
	m := built(t)
	dir := unpack(t, thisImage(t))
	port := freePort(t)
	if err := os.WriteFile(filepath.Join(dir, "etc/rota/rota.yaml"), fmt.Appendf(nil, "connections: {}\nsecrets: []\nserver: {listen: %q}\n", fmt.Sprintf("127.0.0.1:%d", port)), 0o644); err != nil {
		t.Fatal(err)
	}
	// Volumes for the data and for /tmp, as a container has them.
	box := newSandbox(t, fmt.Sprintf(`
		mount --bind '%[1]s' '%[1]s'
		mount -o remount,bind,ro '%[1]s'
		mount -t tmpfs -o mode=700,uid=65532,gid=65532 none '%[1]s/var/lib/rota'
		mount -t tmpfs -o mode=1777 none '%[1]s/tmp'
		exec sh`, dir))
	inside := "env -i HOME=/var/lib/rota ROTA_CONFIG=/etc/rota/rota.yaml ROTA_DATA_DIR=/var/lib/rota $(command -v chroot) --userspec=" + user + " '" + dir + "' /ko-app/rota "
	if got := box.run(t, inside+"version"); !strings.HasPrefix(got, "rota "+m.Version+" ") {
		t.Errorf("rota version prints %s", got)
	}
	if got := box.run(t, inside+"demo"); !strings.Contains(got, "With your own credentials") {
		t.Errorf("rota demo prints:\n%s", got)
	}
	if out, code := box.try(t, inside+"init /etc/rota/other.yaml"); code == "0" {
		t.Errorf("it could write to its root:\n%s", out)
	}
	box.run(t, inside+"serve >'"+dir+"/tmp/log' 2>&1 & echo $! >'"+dir+"/tmp/pid'")
	defer box.run(t, "kill $(cat '"+dir+"/tmp/pid')")
	ready := func() error {
		r, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/readyz", port))
		if err != nil {
			return err
		}
		defer r.Body.Close()
		if r.StatusCode != http.StatusOK {
			return fmt.Errorf("/readyz answers %s", r.Status)
		}
		return nil
	}
	deadline := time.Now().Add(time.Minute)
	for err := ready(); err != nil; err = ready() {
		if time.Now().After(deadline) {
			t.Fatalf("rota serve isn't ready: %v\n%s", err, box.run(t, "cat '"+dir+"/tmp/log'"))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

package file_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/file"
)

// put creates a file or folder with exactly this mode and owner.
func put(t *testing.T, path string, mode fs.FileMode, uid, gid int) {
	t.Helper()
	var err error
	if mode.IsDir() {
		err = os.Mkdir(path, 0o700)
	} else {
		err = os.WriteFile(path, []byte("{}"), 0o600)
	}
	for _, err := range []error{err, os.Chown(path, uid, gid), os.Chmod(path, mode&^fs.ModeDir)} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestAFileKeepsItsModeWithinTheConfiguredOne(t *testing.T) {
	for _, c := range []struct {
		name                     string
		found, configured, after fs.FileMode
		detail                   string
	}{
		{"the group may read, and nothing is configured", 0o640, 0, 0o640, "mode 0640"},
		{"nobody may write, and nothing is configured", 0o440, 0, 0o440, "mode 0440"},
		{"everyone may read, and nothing is configured", 0o644, 0, 0o640, "mode 0644, which becomes 0640"},
		{"narrower than configured", 0o600, 0o640, 0o600, "mode 0600, which it keeps: chmod it to grant all of 0640"},
		{"as configured", 0o640, 0o640, 0o640, "mode 0640"},
		{"wider than configured", 0o640, 0o600, 0o600, "mode 0640, which becomes 0600"},
		{"wider and narrower than configured", 0o460, 0o640, 0o440, "mode 0460, which becomes 0440"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "c.json")
			put(t, path, c.found, -1, -1)
			config := file.Config{Path: path, Format: file.JSON, Mode: c.configured}
			target, err := file.New(config)
			if err != nil {
				t.Fatal(err)
			}
			if f := target.(rota.Preflighter).Preflight(t.Context())[0]; !f.OK || !strings.HasSuffix(f.Detail, c.detail) {
				t.Errorf("check says %v %q, want %q", f.OK, f.Detail, c.detail)
			}
			if err := deliver(t, config); err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != c.after || info.Size() < 10 {
				t.Errorf("afterwards: %v %v", info.Mode(), err)
			}
		})
	}
}

func TestAFileThatChangesHandsGetsTheConfiguredMode(t *testing.T) {
	asRoot(t)
	path := filepath.Join(t.TempDir(), "c.json")
	put(t, path, 0o600, 0, 0)
	if err := deliver(t, file.Config{Path: path, Format: file.JSON, Mode: 0o640, Group: "1"}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("afterwards: %v %v", info.Mode(), err)
	}
}

func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		testenv.Missing(t, "root", "only root gives files to others")
	}
}

const eve, app = 1234, 1235

// Whoever creates the file first, or a folder on the way to it, must not become
// the one who may read the credential.
func TestAPlaceThatAStrangerMayHavePreparedIsRefused(t *testing.T) {
	asRoot(t)
	const folder = fs.ModeDir
	for _, c := range []struct {
		name   string
		put    func(t *testing.T, at string) // at is the folder that's open or not
		config file.Config                   // its path is below at
		want   string                        // "" if it's delivered
	}{
		{"a stranger's file in a sticky folder", func(t *testing.T, at string) {
			put(t, at, folder|fs.ModeSticky|0o777, 0, 0)
			put(t, at+"/c", 0o600, eve, eve)
		}, file.Config{Path: "c"}, "c belongs to user 1234, who may have created it because others can write to"},
		{"a stranger's file in a folder of a group", func(t *testing.T, at string) {
			put(t, at, folder|0o770, 0, app)
			put(t, at+"/c", 0o600, eve, app)
		}, file.Config{Path: "c"}, "the user who may have the credential"},
		{"the same with the owner named", func(t *testing.T, at string) {
			put(t, at, folder|0o770, 0, app)
			put(t, at+"/c", 0o600, eve, app)
		}, file.Config{Path: "c", Owner: "1235"}, ""},
		{"the application's file in its own folder", func(t *testing.T, at string) {
			put(t, at, folder|0o755, app, app)
			put(t, at+"/c", 0o640, app, app)
		}, file.Config{Path: "c"}, ""},
		{"the application's file in its own folder, which its group can write to", func(t *testing.T, at string) {
			put(t, at, folder|0o775, app, app)
			put(t, at+"/c", 0o640, app, app)
		}, file.Config{Path: "c"}, ""},
		{"a file in a closed folder, whoever owns it", func(t *testing.T, at string) {
			put(t, at, folder|0o755, 0, 0)
			put(t, at+"/c", 0o640, app, app)
		}, file.Config{Path: "c"}, ""},
		{"Rota's own file in an open folder", func(t *testing.T, at string) {
			put(t, at, folder|0o777, 0, 0)
			put(t, at+"/c", 0o600, 0, 0)
		}, file.Config{Path: "c"}, ""},
		{"another file of Rota's, moved here for the group that reads it", func(t *testing.T, at string) {
			put(t, at, folder|0o777, 0, 0)
			put(t, at+"/c", 0o640, 0, eve)
		}, file.Config{Path: "c"}, "is for group 1234, which anyone may have chosen"},
		{"the same with the group named", func(t *testing.T, at string) {
			put(t, at, folder|0o777, 0, 0)
			put(t, at+"/c", 0o640, 0, eve)
		}, file.Config{Path: "c", Group: "1235"}, ""},
		{"the same in a sticky folder, where nobody can move it", func(t *testing.T, at string) {
			put(t, at, folder|fs.ModeSticky|0o777, 0, 0)
			put(t, at+"/c", 0o640, 0, app)
		}, file.Config{Path: "c"}, ""},
		{"the same for an access control list", func(t *testing.T, at string) {
			put(t, at, folder|0o777, 0, 0)
			put(t, at+"/c", 0o600, 0, 0)
			setACL(t, at+"/c", eve)
		}, file.Config{Path: "c"}, "has an access control list"},
		{"another file's second name", func(t *testing.T, at string) {
			put(t, at, folder|fs.ModeSticky|0o777, 0, 0)
			put(t, at+"-other", 0o640, 0, eve)
			if err := os.Link(at+"-other", at+"/c"); err != nil {
				t.Fatal(err)
			}
		}, file.Config{Path: "c"}, "is one of 2 names of the same file"},
		{"a second name in a closed folder", func(t *testing.T, at string) {
			put(t, at, folder|0o755, 0, 0)
			put(t, at+"/c", 0o640, 0, 0)
			if err := os.Link(at+"/c", at+"/snapshot"); err != nil {
				t.Fatal(err)
			}
		}, file.Config{Path: "c"}, ""},
		{"a stranger's folder in an open one", func(t *testing.T, at string) {
			put(t, at, folder|fs.ModeSticky|0o777, 0, 0)
			put(t, at+"/app", folder|0o755, eve, eve)
		}, file.Config{Path: "app/c"}, "app belongs to user 1234, who may have created it"},
		{"the same with the owner named", func(t *testing.T, at string) {
			put(t, at, folder|fs.ModeSticky|0o777, 0, 0)
			put(t, at+"/app", folder|0o755, app, app)
		}, file.Config{Path: "app/c", Owner: "1235"}, ""},
		{"a folder of Rota's in a sticky one", func(t *testing.T, at string) {
			put(t, at, folder|fs.ModeSticky|0o777, 0, 0)
			put(t, at+"/app", folder|0o755, 0, 0)
			put(t, at+"/app/c", 0o640, app, app)
		}, file.Config{Path: "app/c"}, ""},
		{"a folder of Rota's that anyone can swap", func(t *testing.T, at string) {
			put(t, at, folder|0o777, 0, 0)
			put(t, at+"/app", folder|0o755, 0, 0)
			put(t, at+"/app/c", 0o640, app, app)
		}, file.Config{Path: "app/c"}, "c belongs to user 1235"},
		{"a folder deep below one that anyone can swap", func(t *testing.T, at string) {
			put(t, at, folder|0o777, 0, 0)
			put(t, at+"/app", folder|0o755, 0, 0)
			put(t, at+"/app/deep", folder|0o755, eve, eve)
		}, file.Config{Path: "app/deep/c"}, "deep belongs to user 1234"},
		{"a stranger's link on the way", func(t *testing.T, at string) {
			put(t, at, folder|fs.ModeSticky|0o777, 0, 0)
			put(t, at+"-real", folder|0o755, 0, 0)
			put(t, at+"-real/c", 0o640, 0, eve)
			if err := os.Symlink("../"+filepath.Base(at)+"-real", at+"/app"); err != nil {
				t.Fatal(err)
			}
			if err := os.Lchown(at+"/app", eve, eve); err != nil {
				t.Fatal(err)
			}
		}, file.Config{Path: "app/c"}, "app belongs to user 1234"},
		{"links of Rota's on the way", func(t *testing.T, at string) {
			put(t, at, folder|fs.ModeSticky|0o777, 0, 0)
			put(t, at+"-real", folder|0o755, 0, 0)
			for name, to := range map[string]string{"app": "absolute/../absolute", "absolute": at + "-real/."} {
				if err := os.Symlink(to, filepath.Join(at, name)); err != nil {
					t.Fatal(err)
				}
			}
		}, file.Config{Path: "absolute/c"}, ""},
		{"the application's link out of its own folder", func(t *testing.T, at string) {
			put(t, at, folder|0o755, app, app)
			put(t, at+"-real", folder|0o700, 0, 0)
			put(t, at+"-real/c", 0o600, 0, 0)
			linkOf(t, at+"-real", at+"/conf")
		}, file.Config{Path: "conf/c"}, "conf is a symbolic link of user 1235, and leads to a folder of user 0"},
		{"the same with the owner named", func(t *testing.T, at string) {
			put(t, at, folder|0o755, app, app)
			put(t, at+"-real", folder|0o700, 0, 0)
			linkOf(t, at+"-real", at+"/conf")
		}, file.Config{Path: "conf/c", Owner: "1235"}, "conf is a symbolic link of user 1235"},
		{"the application's link to a folder above another's", func(t *testing.T, at string) {
			put(t, at, folder|0o755, app, app)
			put(t, at+"-real", folder|0o755, app, app)
			put(t, at+"-real/eve", folder|0o755, eve, eve)
			linkOf(t, at+"-real", at+"/conf")
		}, file.Config{Path: "conf/eve/c"}, "conf is a symbolic link of user 1235, and leads to a folder of user 1234"},
		{"the application's link to another folder of its own", func(t *testing.T, at string) {
			put(t, at, folder|0o755, app, app)
			put(t, at+"-real", folder|0o755, app, app)
			put(t, at+"-real/c", 0o600, app, app)
			linkOf(t, at+"-real", at+"/conf")
		}, file.Config{Path: "conf/c"}, ""},
		{"root's link from the application's folder", func(t *testing.T, at string) {
			put(t, at, folder|0o755, app, app)
			put(t, at+"-real", folder|0o755, 0, 0)
			if err := os.Symlink(at+"-real", at+"/conf"); err != nil {
				t.Fatal(err)
			}
		}, file.Config{Path: "conf/c"}, ""},
		{"links in a circle", func(t *testing.T, at string) {
			put(t, at, folder|0o755, 0, 0)
			if err := os.Symlink("app", at+"/app"); err != nil {
				t.Fatal(err)
			}
		}, file.Config{Path: "app/c"}, "too many symbolic links"},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := filepath.Join(t.TempDir(), "open")
			c.put(t, at)
			c.config.Path, c.config.Format = filepath.Join(at, c.config.Path), file.JSON
			before := content(c.config.Path)
			target, err := file.New(c.config)
			if err != nil {
				t.Fatal(err)
			}
			said := problems(t, target)
			if content(c.config.Path) != before {
				t.Error("the check changed the file")
			}
			err = deliver(t, c.config)
			if c.want == "" {
				if said != "" || err != nil {
					t.Errorf("refused: %q, %v", said, err)
				}
				return
			}
			if !strings.Contains(said, c.want) || err == nil || !strings.Contains(hint.Text(err), c.want) {
				t.Errorf("want %q; check says %q, the delivery %v", c.want, said, err)
			}
			if content(c.config.Path) != before {
				t.Error("the file was replaced all the same")
			}
		})
	}
}

// linkOf makes a symbolic link of the application's.
func linkOf(t *testing.T, to, path string) {
	t.Helper()
	if err := errors.Join(os.Symlink(to, path), os.Lchown(path, app, app)); err != nil {
		t.Fatal(err)
	}
}

func content(path string) string {
	all, _ := os.ReadFile(path)
	return string(all)
}

// setACL lets another user read a file: owner rw, the user r, group none,
// mask r, others none, as the kernel stores it.
func setACL(t *testing.T, path string, uid uint16) {
	t.Helper()
	none := []byte{0xff, 0xff, 0xff, 0xff}
	list := slices.Concat([]byte{2, 0, 0, 0},
		[]byte{1, 0, 6, 0}, none,
		[]byte{2, 0, 4, 0}, []byte{byte(uid), byte(uid >> 8), 0, 0},
		[]byte{4, 0, 0, 0}, none,
		[]byte{16, 0, 4, 0}, none,
		[]byte{32, 0, 0, 0}, none)
	if err := syscall.Setxattr(path, "system.posix_acl_access", list, 0); err != nil {
		testenv.Missing(t, "a file system with access control lists", err.Error())
	}
}

func TestAnAccessControlListIsCarriedOver(t *testing.T) {
	for _, c := range []struct {
		mode, want fs.FileMode
	}{{0, 0o640}, {0o640, 0o640}, {0o600, 0o600}} {
		path := filepath.Join(t.TempDir(), "c.json")
		put(t, path, 0o600, -1, -1)
		setACL(t, path, app)
		if err := deliver(t, file.Config{Path: path, Format: file.JSON, Mode: c.mode}); err != nil {
			t.Fatal(err)
		}
		list := make([]byte, 100)
		n, err := syscall.Getxattr(path, "system.posix_acl_access", list)
		if err != nil || !strings.Contains(string(list[:n]), "\x02\x00\x04\x00\xd3\x04\x00\x00") {
			t.Errorf("mode %#o: the list is %x, %v", c.mode, list[:max(n, 0)], err)
		}
		// The mask, which is what the list may grant at most.
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != c.want {
			t.Errorf("mode %#o: afterwards %v %v", c.mode, info.Mode(), err)
		}
	}
}

// A folder's default list would give readers to a file that had none.
func TestNoAccessControlListIsTakenFromTheFolder(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "c.json")
	put(t, path, 0o640, -1, -1)
	sample := filepath.Join(dir, "sample")
	put(t, sample, 0o600, -1, -1)
	setACL(t, sample, eve)
	list := make([]byte, 100)
	n, err := syscall.Getxattr(sample, "system.posix_acl_access", list)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setxattr(dir, "system.posix_acl_default", list[:n], 0); err != nil {
		t.Fatal(err)
	}
	if err := deliver(t, file.Config{Path: path, Format: file.JSON}); err != nil {
		t.Fatal(err)
	}
	if n, err := syscall.Getxattr(path, "system.posix_acl_access", list); err == nil {
		t.Errorf("the file has the list %x", list[:n])
	}
}

// Everyone who may open a file or folder for reading can lock it.
func TestALockOfSomeoneElseBlocksNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "c.json")
	put(t, path, 0o640, -1, -1)
	for _, name := range []string{dir, path} {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
			t.Fatal(err)
		}
	}
	config := file.Config{Path: path, Format: file.JSON}
	target, err := file.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if said := problems(t, target); said != "" {
		t.Error(said)
	}
	if err := deliver(t, config); err != nil {
		t.Error(err)
	}
}

// What's left of a crash, or put in the way by someone else, where it can be
// removed.
func TestWhatIsInTheWayOfTheLockIsRemoved(t *testing.T) {
	for name, put := range map[string]func(t *testing.T, path string) error{
		"an empty file of ours":    func(_ *testing.T, path string) error { return os.WriteFile(path, nil, 0o600) },
		"a file everyone can read": func(_ *testing.T, path string) error { return os.WriteFile(path, nil, 0o644) },
		"a link":                   func(t *testing.T, path string) error { return os.Symlink(t.TempDir(), path) },
		"a pipe":                   func(_ *testing.T, path string) error { return syscall.Mkfifo(path, 0o600) },
		"a folder with a file": func(_ *testing.T, path string) error {
			if err := os.Mkdir(path, 0o700); err != nil {
				return err
			}
			return os.WriteFile(path+"/x", nil, 0o600)
		},
	} {
		for _, of := range []string{".c.json.rota-lock", ".c.json.rota-new"} {
			t.Run(name+" "+of, func(t *testing.T) {
				dir := t.TempDir()
				if err := put(t, filepath.Join(dir, of)); err != nil {
					t.Fatal(err)
				}
				held, err := os.OpenFile(filepath.Join(dir, of), os.O_RDONLY|syscall.O_NONBLOCK, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = held.Close() }()
				if info, err := held.Stat(); err == nil && info.Mode().Perm()&0o077 != 0 {
					if err := syscall.Flock(int(held.Fd()), syscall.LOCK_EX); err != nil {
						t.Fatal(err)
					}
				}
				if err := deliver(t, file.Config{Path: filepath.Join(dir, "c.json"), Format: file.JSON}); err != nil {
					t.Fatal(err)
				}
				if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
					t.Errorf("left behind: %v %v", left, err)
				}
			})
		}
	}
}

func TestTheLockOfAnotherTargetIsWaitedFor(t *testing.T) {
	dir := t.TempDir()
	lock, err := os.OpenFile(filepath.Join(dir, ".c.json.rota-lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Close() }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	target, err := file.New(file.Config{Path: filepath.Join(dir, "c.json"), Format: file.JSON})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 1e9)
		defer cancel()
		err := target.Deliver(ctx, request)
		if err == nil || !strings.Contains(err.Error(), "deadline") {
			t.Errorf("want it to wait until the deadline, got %v", err)
		}
	})
}

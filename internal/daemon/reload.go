package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/rota-dev/rota/api"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/service"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/rotation"
)

// current is the configuration as it is now. One that is replaced is closed
// when nobody uses it any more.
type current struct {
	mu  sync.Mutex
	now *generation
}

// generation is one configuration.
type generation struct {
	file   *config.File
	wired  *config.Wired
	prints map[string]string // of each secret's configuration
	values string            // a fingerprint of what the references stood for
	since  time.Time         // when it was wired

	mu    sync.Mutex
	users int
	over  bool
	close func()
}

func (c *current) borrow() *generation {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now != nil {
		c.now.mu.Lock()
		defer c.now.mu.Unlock()
		c.now.users++
	}
	return c.now
}

func (g *generation) release() { g.change(func() { g.users-- }) }

// retire says that one of the two who hold a generation needs it no more: the
// engine's turns, and the requests.
func (g *generation) retire() { g.change(func() { g.users--; g.over = true }) }

func (g *generation) change(f func()) {
	g.mu.Lock()
	f()
	end := g.over && g.users == 0
	g.mu.Unlock()
	if end {
		g.close()
	}
}

// server are a file's settings of the daemon itself, with the address that
// stands above the file's.
func (d *Daemon) server(ctx context.Context, file *config.File) (config.ServerSettings, error) {
	s, err := file.Server(ctx, d.Environment)
	if err == nil && d.Listen != "" {
		err = s.ListenOn(d.Listen)
	}
	return s, err
}

// use puts a configuration in the place of the one there is: where it is another
// one it is enrolled, so that what changed is due at once, and whoever begins
// something from now on begins with it.
func (d *Daemon) use(ctx context.Context, file *config.File) error {
	d.changing.Lock()
	defer d.changing.Unlock()
	settings, err := d.server(ctx, file)
	if err != nil {
		return err
	}
	lets, err := d.next(settings)
	if err != nil {
		return err
	}
	prints, err := file.Fingerprints()
	if err != nil {
		return err
	}
	values, err := d.values(ctx, file) // before: a later change is seen as one
	if err != nil {
		return err
	}
	wired, err := file.Wire(ctx, d.Environment)
	if err != nil {
		return err
	}
	for name, err := range wired.Broken {
		d.Log.ErrorContext(ctx, "a secret can't be worked", "secret", name, "error", err)
	}
	for _, w := range wired.Warnings {
		d.Log.WarnContext(ctx, w.Message, "at", fmt.Sprintf("%s:%d:%d", w.File, w.Line, w.Column), "hint", w.Hint)
	}
	for _, s := range wired.Secrets {
		s.Configuration = prints[s.Name]
	}
	enrolled, err := d.enrol(ctx, prints)
	if err != nil {
		return errors.Join(err, wired.Close())
	}
	g := &generation{file: file, wired: wired, prints: prints, values: values, since: time.Now(), users: 2}
	g.close = func() {
		if err := wired.Close(); err != nil {
			d.Log.WarnContext(ctx, "close connections", "error", err)
		}
	}
	if lets != nil {
		d.gate.open(lets, settings)
	}
	if !reflect.DeepEqual(standing(settings), standing(d.settings)) {
		d.Log.WarnContext(ctx, "what changed in server counts from the next start on", "file", file.Path)
	}
	d.current.mu.Lock()
	before := d.current.now
	d.current.now = g
	d.current.mu.Unlock()
	d.secrets.Replace(wired.Secrets, g.retire)
	if before != nil {
		before.retire()
	}
	if d.schedule != nil {
		d.schedule.Poke()
	}
	d.Log.InfoContext(ctx, "configuration", "file", file.Path, "secrets", len(prints), "enrolled", enrolled)
	d.follows(ctx, enrolled)
	return nil
}

// enrol makes a configuration the one in force, if it is another one than this
// replica had: one that is merely wired anew must not take the place of what
// another replica has read since.
func (d *Daemon) enrol(ctx context.Context, prints map[string]string) (store.Enrollment, error) {
	before := d.current.borrow()
	if before == nil {
		return d.DB.Join(ctx, prints)
	}
	defer before.release()
	if maps.Equal(before.prints, prints) {
		return d.DB.Follow(ctx, prints)
	}
	return d.DB.Enroll(ctx, prints)
}

// follows says once that this replica's configuration is not in force.
func (d *Daemon) follows(ctx context.Context, e store.Enrollment) {
	if e.Behind && !d.behind {
		d.Log.WarnContext(ctx, "another replica has a newer configuration: what differs is left to it",
			"hint", "give all replicas the same rota.yaml; this one's counts once no other has the newer one")
	}
	d.behind = e.Behind
}

// follow puts this replica's configuration in force once that is nobody's any
// more.
func (d *Daemon) follow(ctx context.Context, prints map[string]string) error {
	d.changing.Lock()
	defer d.changing.Unlock()
	enrolled, err := d.DB.Follow(ctx, prints)
	if err != nil {
		return err
	}
	d.follows(ctx, enrolled)
	if enrolled.Changed > 0 {
		d.Log.InfoContext(ctx, "no replica has the configuration in force any more: this one's is", "enrolled", enrolled)
		d.schedule.Poke()
	}
	return nil
}

// read reads the configuration again. What is wrong with it changes nothing.
func (d *Daemon) read(ctx context.Context) error {
	file, err := d.Load()
	if err != nil {
		return err
	}
	return d.use(ctx, file)
}

// Reload is for a signal: it says in the log and in the audit how it went.
func (d *Daemon) Reload(ctx context.Context) {
	err := d.read(ctx)
	if err != nil {
		d.Log.ErrorContext(ctx, leftAsItWas, "error", err)
	}
	d.noteReload(ctx, err)
}

const leftAsItWas = "the configuration is left as it was"

// noteReload writes to the audit how a reload went that nobody asked for over
// the network.
func (d *Daemon) noteReload(ctx context.Context, went error) {
	if err := d.recordReload(ctx, access.Caller{Principal: d.rotator.Actor}, "", went); err != nil {
		d.Log.ErrorContext(ctx, "a reload could not be written to the audit", "error", err)
	}
}

// recordReload writes to the audit who had the configuration read again, and
// what came of it: the file's hash and why, or the first that is wrong with it.
func (d *Daemon) recordReload(ctx context.Context, by access.Caller, why string, went error) error {
	g := d.current.borrow()
	defer g.release()
	outcome, detail := rotation.OutcomeSucceeded, g.file.Sum()
	if why != "" {
		detail += ": " + why
	}
	if went != nil {
		outcome = rotation.OutcomeFailed
		detail, _, _ = strings.Cut(rota.Sanitize(went).Error(), "\n")
	}
	entry := by.Entry(d.DB.Now(), string(api.ControlReload), service.Configuration, outcome, detail)
	if path, err := filepath.Abs(g.file.Path); err == nil {
		entry.Object = path
	}
	return d.DB.Record(context.WithoutCancel(ctx), entry)
}

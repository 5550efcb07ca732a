package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/internal/hint"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/service"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/rotation"
)

// configuration is one rota.yaml, read and wired.
type configuration struct {
	file         *config.File
	wired        *config.Wired
	fingerprints map[string]string // of each secret's configuration
	values       string            // a fingerprint of the references' values
	since        time.Time         // when it was wired
}

// acquire returns the current configuration and what to call when done with it;
// nil before the first one is in place.
func (d *Daemon) acquire() (*configuration, func()) {
	c, release, _ := d.configurations.Acquire()
	return c, release
}

// serverSettings are a file's settings for the daemon itself, with the address
// that overrides the file's.
func (d *Daemon) serverSettings(ctx context.Context, file *config.File) (config.ServerSettings, error) {
	s, err := file.Server(ctx, d.Environment)
	if err == nil && d.Listen != "" {
		err = s.ListenOn(d.Listen)
	}
	return s, err
}

// apply replaces the current configuration. If it differs, it's enrolled, so that
// changed secrets are due immediately, and everything that starts from now on
// uses it.
func (d *Daemon) apply(ctx context.Context, file *config.File) error {
	d.reloadMu.Lock()
	defer d.reloadMu.Unlock()
	settings, err := d.serverSettings(ctx, file)
	if err != nil {
		d.noteRefused(ctx, err)
		return err
	}
	authenticator, err := d.newAuthenticator(settings)
	if err != nil {
		d.noteRefused(ctx, err)
		return err
	}
	fingerprints, err := file.Fingerprints()
	if err != nil {
		return err
	}
	values, err := d.values(ctx, file) // before reading: a later change is noticed
	if err != nil {
		return err
	}
	wired, err := d.wire(ctx, file, fingerprints)
	if err != nil {
		return err
	}
	for name, err := range wired.Broken {
		d.Log.ErrorContext(ctx, "a secret can't be worked on", "secret", name, "error", err)
	}
	for _, w := range wired.Warnings {
		d.Log.WarnContext(ctx, w.Text(), "at", fmt.Sprintf("%s:%d:%d", w.File, w.Line, w.Column), "hint", hint.Of(w.Remedies))
	}
	enrolled, err := d.enroll(ctx, fingerprints)
	if err != nil {
		return errors.Join(err, wired.Close())
	}
	edited := d.edited(fingerprints)
	if authenticator != nil {
		d.auth.replace(authenticator, settings)
	}
	if !reflect.DeepEqual(withoutAuth(settings), withoutAuth(d.settings)) {
		d.Log.WarnContext(ctx, "changes to server take effect at the next start", "file", file.Path)
	}
	d.configurations.Replace(&configuration{file, wired, fingerprints, values, time.Now()}, func() {
		if err := wired.Close(); err != nil {
			d.Log.WarnContext(ctx, "close connections", "error", err)
		}
	})
	_, release := d.acquire() // by turns that use its secrets
	d.secrets.Replace(wired.Secrets, release)
	if d.schedule != nil {
		d.startEdited(ctx, edited, enrolled)
		d.schedule.Poke()
	}
	d.Log.InfoContext(ctx, "configuration", "file", file.Path, "secrets", len(fingerprints), "changed", enrolled.Changed, "removed", enrolled.Removed)
	d.noteRefused(ctx, nil)
	d.logBehind(ctx, enrolled)
	return nil
}

// wire binds a file's secrets to their systems, under the fingerprints that
// their turns carry.
func (d *Daemon) wire(ctx context.Context, file *config.File, fingerprints map[string]string) (*config.Wired, error) {
	wired, err := file.Wire(ctx, d.Environment)
	if err != nil {
		return nil, err
	}
	for _, s := range wired.Secrets {
		s.Configuration = fingerprints[s.Name]
		d.addNotifier(s)
	}
	for _, s := range wired.Watched {
		d.addNotifier(s)
	}
	return wired, nil
}

// addNotifier adds the notifier that isn't in the configuration.
func (d *Daemon) addNotifier(s *rotation.Secret) {
	if d.Notify == nil {
		return
	}
	if n := d.Notify(s.Name); n != nil {
		s.Notifiers = append(slices.Clip(s.Notifiers), n)
	}
}

// Status returns the configuration in force, and how its secrets stand, by name.
func (d *Daemon) Status(ctx context.Context) (*config.File, map[string]api.StatusSecretDoc, error) {
	current, release := d.acquire()
	defer release()
	local := &service.Local{File: current.file, Wired: current.wired, DB: d.DB, Rotator: d.rotator, Caller: access.Local(d.rotator.Actor), Now: d.DB.Now}
	doc, err := local.Status(ctx, api.StatusRequest{})
	all := make(map[string]api.StatusSecretDoc, len(doc.Secrets))
	for _, s := range doc.Secrets {
		all[s.Secret] = s
	}
	return current.file, all, err
}

// enroll puts a configuration in force if it differs from what this replica
// had: merely rewiring must not override what another replica has read since.
func (d *Daemon) enroll(ctx context.Context, fingerprints map[string]string) (store.Enrollment, error) {
	before, release := d.acquire()
	defer release()
	switch {
	case before == nil:
		return d.DB.Replicas().Join(ctx, fingerprints)
	case maps.Equal(before.fingerprints, fingerprints):
		return d.DB.Replicas().Follow(ctx, fingerprints)
	default:
		return d.DB.Queue().Enroll(ctx, fingerprints)
	}
}

// maxStarted is how many turns an edit starts by itself. The rest wait for the
// schedule.
const maxStarted = 1000

// edited lists the secrets whose configuration isn't the one that this replica
// has.
func (d *Daemon) edited(fingerprints map[string]string) []string {
	before, release := d.acquire()
	defer release()
	if before == nil {
		return nil
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(fingerprints)) {
		if before.fingerprints[name] != fingerprints[name] {
			names = append(names, name)
		}
	}
	return names
}

// startEdited starts the turns that an edit made due, if this replica is the one
// that put it in force. Any other replica could take their jobs from the queue, and
// would have to put them back until one that has read the edit takes them.
func (d *Daemon) startEdited(ctx context.Context, edited []string, e store.Enrollment) {
	if e.Changed == 0 {
		return
	}
	for _, name := range edited[:min(len(edited), maxStarted)] {
		d.worker.StartTurn(ctx, name)
	}
}

// logBehind logs once that this replica's configuration is not in force.
func (d *Daemon) logBehind(ctx context.Context, e store.Enrollment) {
	if e.Behind && !d.behind {
		d.Log.WarnContext(ctx, "another replica has a newer configuration: secrets that differ are left to it",
			"hint", "give all replicas the same rota.yaml; this one's takes effect once no other has the newer one")
	}
	d.behind = e.Behind
}

// follow puts this replica's configuration in force once no replica has the
// one in force.
func (d *Daemon) follow(ctx context.Context, fingerprints map[string]string) error {
	d.reloadMu.Lock()
	defer d.reloadMu.Unlock()
	enrolled, err := d.DB.Replicas().Follow(ctx, fingerprints)
	if err != nil {
		return err
	}
	d.logBehind(ctx, enrolled)
	if enrolled.Changed > 0 {
		d.Log.InfoContext(ctx, "no replica has the configuration in force any more: this replica's is now in force", "changed", enrolled.Changed, "removed", enrolled.Removed)
		d.schedule.Poke()
	}
	return nil
}

// reload reads the configuration again. An invalid one changes nothing.
func (d *Daemon) reload(ctx context.Context) error {
	file, err := d.Load(ctx)
	if err != nil {
		if ctx.Err() == nil { // otherwise reading it was interrupted
			d.noteRefused(ctx, err)
		}
		return err
	}
	return d.apply(ctx, file)
}

// Reload handles a signal: it logs and audits the result.
func (d *Daemon) Reload(ctx context.Context) {
	err := d.reload(ctx)
	if err != nil {
		d.Log.ErrorContext(ctx, unchangedMessage, "error", err)
	}
	d.auditReload(ctx, err)
}

const unchangedMessage = "the configuration is unchanged"

// noteRefused keeps why the newest configuration isn't in force, for status and
// metrics, until one is; err is nil if it is.
func (d *Daemon) noteRefused(ctx context.Context, err error) {
	before := d.refused.Load()
	if err != nil {
		now := &api.RefusedDoc{Since: d.DB.Now(), Error: hint.Text(err)}
		if before != nil {
			now.Since = before.Since
		}
		d.refused.Store(now)
		d.metrics.ConfigurationRefused(true)
		return
	}
	if before != nil && d.refused.CompareAndSwap(before, nil) {
		d.metrics.ConfigurationRefused(false)
		d.Log.InfoContext(ctx, "the configuration is accepted again", "refused_since", before.Since)
	}
}

// auditReload audits the result of a reload that wasn't requested over the
// network.
func (d *Daemon) auditReload(ctx context.Context, went error) {
	if err := d.recordReload(ctx, access.Caller{Principal: d.rotator.Actor}, "", went); err != nil {
		d.Log.ErrorContext(ctx, "a reload could not be written to the audit", "error", err)
	}
}

// recordReload audits who reloaded the configuration and the result: the file's
// hash and the reason, or the first error in it.
func (d *Daemon) recordReload(ctx context.Context, by access.Caller, why string, went error) error {
	current, release := d.acquire()
	defer release()
	outcome, detail := rotation.OutcomeSucceeded, current.file.Sum()
	if why != "" {
		detail += ": " + why
	}
	if went != nil {
		outcome = rotation.OutcomeFailed
		detail = hint.First(went)
	}
	entry := by.Entry(d.DB.Now(), string(api.ControlReload), service.Configuration, outcome, detail)
	if path, err := filepath.Abs(current.file.Path); err == nil {
		entry.Object = path
	}
	return d.DB.Audit().Record(context.WithoutCancel(ctx), entry)
}

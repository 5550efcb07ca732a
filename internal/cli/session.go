package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/internal/service"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// need is what a command needs when it runs on this machine.
type need int

// All but the first need rota.yaml.
const (
	toRead   need = iota // Rota's own store, if it exists
	toLook               // the same
	toAsk                // the systems too; an empty store stands in for one that doesn't exist yet
	toSwitch             // the store, created if it doesn't exist
	toWork               // both
)

// The lease of a worker on the command line. Every write extends it.
const (
	leaseTTL  = time.Minute
	heartbeat = 10 * time.Second
)

// withOperations calls do with whatever carries out operations: the server,
// if one is named, or else this process.
func (a *app) withOperations(ctx context.Context, n need, do func(service.Operations) error) error {
	if a.serverURL() != "" {
		c, err := a.client(ctx)
		if err != nil {
			return err
		}
		return do(c)
	}
	local, done, err := a.openLocal(ctx, n)
	if err != nil {
		return err
	}
	defer done()
	return do(local)
}

// openLocal reads the configuration, opens the store and wires the two, as far
// as needed. The returned function closes everything.
func (a *app) openLocal(ctx context.Context, n need) (_ *service.Local, _ func(), err error) {
	l := &service.Local{Caller: access.Local(a.actor()), Now: a.Now, LeaseWait: leaseTTL + 5*time.Second, Message: func(text string) { a.note("%s", text) }}
	defer func() {
		if err != nil {
			a.closeLocal(ctx, l)
		}
	}()
	if n != toRead {
		if l.File, err = a.loadConfig(ctx); err != nil {
			return nil, nil, err
		}
	}
	l.Environment = &config.Environment{LookupEnv: a.lookupEnv}
	switch n {
	case toRead, toLook:
		l.DB, err = a.peekStore(ctx)
	case toAsk:
		a.lookAtStore(ctx, l)
	case toSwitch, toWork:
		l.DB, err = a.openStore(ctx)
	}
	if err != nil {
		return nil, nil, err
	}
	if l.DB != nil && a.databaseURL() != "" {
		l.Now = l.DB.Now
	}
	if n == toAsk || n == toWork {
		if err := a.wire(ctx, l); err != nil {
			return nil, nil, err
		}
	}
	if n == toWork { // for a check they're findings
		for _, w := range l.Wired.Warnings {
			a.log.WarnContext(ctx, w.Text(), "at", fmt.Sprintf("%s:%d:%d", w.File, w.Line, w.Column), "hint", hint.Of(w.Remedies))
		}
	}
	if l.DB != nil {
		l.Rotator = &rotation.Rotator{
			Journal: l.DB.Journal(), Now: l.Now, Holder: holder(), LeaseTTL: leaseTTL, Heartbeat: heartbeat, Log: a.log, Report: a.progress(), Trace: a.tracing.Tracer(),
		}
		l.Controls = service.StoreControls{DB: l.DB, Wired: l.Wired, Rotator: l.Rotator}
	}
	return l, func() { a.closeLocal(ctx, l) }, nil
}

func (a *app) wire(ctx context.Context, l *service.Local) error {
	env := config.Environment{LookupEnv: a.lookupEnv, OwnStore: func(string) rota.Store { return memory.NewStore(memory.Options{}) }}
	if l.DB != nil {
		env.OwnStore, env.Outbox = l.DB.Secret, l.DB.Outbox()
	}
	l.Rewire = func(ctx context.Context) (*config.Wired, error) { return l.File.Wire(ctx, env) }
	wired, err := l.Rewire(ctx)
	if err != nil {
		return refused(err)
	}
	l.Wired = wired
	return nil
}

func (a *app) closeLocal(ctx context.Context, l *service.Local) {
	var errs []error
	if l.Wired != nil {
		errs = append(errs, l.Wired.Close())
	}
	if l.DB != nil {
		errs = append(errs, l.DB.Close())
	}
	if err := errors.Join(errs...); err != nil {
		a.log.WarnContext(ctx, "close", "error", err)
	}
}

// load reads rota.yaml, of which no target may write into the data folder.
func (a *app) load(ctx context.Context) (*config.File, error) {
	file, err := a.ownCatalog().Load(ctx, a.configPath())
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil, errInterrupted
	}
	return file, err
}

// ownCatalog is the catalog with Rota's own files.
func (a *app) ownCatalog() *config.Catalog {
	catalog := a.catalog
	if dir, err := a.dataDir(); err == nil { // without one, there's no store of Rota's own
		catalog = catalog.WithOwn(
			provider.OwnPath{Path: dir, What: "Rota's data folder"},
			provider.OwnPath{Path: filepath.Join(dir, "rota.key"), What: "the key of Rota's own store"},
			provider.OwnPath{Path: filepath.Join(dir, "rota.db"), What: "Rota's own store"},
		)
	}
	return catalog
}

// loadConfig reads rota.yaml.
func (a *app) loadConfig(ctx context.Context) (*config.File, error) {
	file, err := a.load(ctx)
	if err != nil {
		return nil, refused(err)
	}
	return file, nil
}

// storeOptions say where Rota's own store is. A shared database's clock
// applies to everyone who uses it.
func (a *app) storeOptions(ctx context.Context) (store.Options, error) {
	dir, err := a.dataDir()
	if err != nil {
		return store.Options{}, err
	}
	if err := a.claimFolder(dir); err != nil {
		return store.Options{}, err
	}
	o := store.Options{Dir: dir, Volume: a.dataVolume(), DSN: a.databaseURL(), Actor: a.actor()}
	if o.DSN == "" {
		o.Now = a.Now
	}
	if path, is := strings.CutPrefix(a.masterKeyURL(), keyFileScheme); is {
		o.KeyFile, o.KeyFileProvided = path, true
		return o, nil
	}
	o.Wrapper, err = a.keeper(ctx)
	return o, err
}

// openStore opens Rota's own store, and creates it at the first start.
func (a *app) openStore(ctx context.Context) (*store.DB, error) {
	o, err := a.storeOptions(ctx)
	if err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, o)
	if err != nil {
		return nil, refused(err)
	}
	return db, nil
}

// peekStore opens Rota's own store for a read-only command: it never
// creates one, and returns nil if there is none.
func (a *app) peekStore(ctx context.Context) (*store.DB, error) {
	dir, err := a.dataDir()
	if err != nil {
		return nil, err
	}
	if a.databaseURL() != "" {
		if a.masterKeyURL() != "" {
			return a.openStore(ctx)
		}
		if _, err := os.Stat(filepath.Join(dir, "rota.key")); errors.Is(err, fs.ErrNotExist) {
			return nil, rota.WithRemedies(usage("%s has no rota.key, without which the database can't be read", dir), append(rota.Outside("copy it there if the database isn't new"), rota.Command("rota migrate")...))
		}
		return a.openStore(ctx)
	}
	if _, err := os.Stat(filepath.Join(dir, "rota.db")); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return a.openStore(ctx)
}

// lookAtStore opens Rota's own store for a check: failing to open it is a
// finding.
func (a *app) lookAtStore(ctx context.Context, l *service.Local) {
	found := func(detail string, err error) {
		f := rota.Finding{OK: err == nil, Check: "own store: open", Detail: detail}
		if err != nil {
			f.Detail, f.Remedies = detail+err.Error(), rota.RemediesOf(err)
		}
		l.StoreFindings = append(l.StoreFindings, f)
	}
	db, err := a.peekStore(ctx)
	if err != nil {
		found("", err)
		return
	}
	dir, _ := a.dataDir() // peekStore has already asked it
	if l.DB = db; db != nil {
		found(dir, nil)
		return
	}
	if err := store.CheckCreatable(dir, a.dataVolume()); err != nil {
		found("there is none yet, and it can't be created: ", err)
		return
	}
	found("there is none yet in "+dir+"; the first command that needs it creates it", nil)
}

// holder names this process in leases: host/process plus something random, as
// two containers may share both.
func holder() string {
	return fmt.Sprintf("%s/%d/%s", hostname(), os.Getpid(), strings.ToLower(rand.Text()[:6]))
}

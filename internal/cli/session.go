package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"rota"
	"rota/config"
	"rota/store"
)

// session is what a command that works on secrets has open.
type session struct {
	app     *app
	file    *config.File
	db      *store.DB
	wired   *config.Wired
	rotator *rota.Rotator
}

// The lease of a worker at the command line. It is prolonged by every write.
const (
	leaseTTL  = time.Minute
	heartbeat = 10 * time.Second
)

// loadConfig reads rota.yaml.
func (a *app) loadConfig() (*config.File, error) {
	file, err := config.Load(a.configPath())
	if err != nil {
		return nil, refused(err)
	}
	return file, nil
}

// openStore opens Rota's own store, and makes it at the first start.
func (a *app) openStore(ctx context.Context) (*store.DB, error) {
	dir, err := a.dataDir()
	if err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, store.Options{Dir: dir, Now: a.Now, Actor: a.actor()})
	if err != nil {
		return nil, refused(err)
	}
	return db, nil
}

// peekStore opens Rota's own store for a command that only looks: it makes
// none, and gives nil where there is none.
func (a *app) peekStore(ctx context.Context) (*store.DB, error) {
	dir, err := a.dataDir()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, "rota.db")); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return a.openStore(ctx)
}

// open reads the configuration, opens the store and wires the two.
func (a *app) open(ctx context.Context) (*session, error) {
	file, err := a.loadConfig()
	if err != nil {
		return nil, err
	}
	db, err := a.openStore(ctx)
	if err != nil {
		return nil, err
	}
	s := &session{app: a, file: file, db: db}
	if s.wired, err = file.Wire(ctx, config.Environment{OwnStore: db.Secret, LookupEnv: a.lookupEnv}); err != nil {
		return nil, errors.Join(refused(err), db.Close())
	}
	for _, w := range s.wired.Warnings {
		a.log.WarnContext(ctx, w.Message, "at", fmt.Sprintf("%s:%d:%d", w.File, w.Line, w.Column), "hint", w.Hint)
	}
	s.rotator = &rota.Rotator{
		Journal: db, Now: a.Now, Actor: a.actor(), LeaseTTL: leaseTTL, Heartbeat: heartbeat,
		Log: a.log, Report: a.progress(),
	}
	return s, nil
}

func (s *session) close() {
	if err := errors.Join(s.wired.Close(), s.db.Close()); err != nil {
		s.app.log.WarnContext(context.Background(), "close", "error", err)
	}
}

// chosen is a secret that a command works on, or why it can't.
type chosen struct {
	name   string
	secret *rota.Secret
	err    error
}

// choose gives the named secrets, or all, in the file's order. A name that the
// file does not have is a usage error.
func (s *session) choose(names []string) ([]chosen, error) {
	wanted, err := pick(s.file, names)
	if err != nil {
		return nil, err
	}
	var out []chosen
	for _, name := range wanted {
		out = append(out, chosen{name: name, secret: s.wired.ByName[name], err: s.wired.Broken[name]})
	}
	return out, nil
}

// one gives one secret by its name.
func (s *session) one(name string) (*rota.Secret, error) {
	list, err := s.choose([]string{name})
	if err != nil {
		return nil, err
	}
	if list[0].err != nil {
		return nil, refused(list[0].err)
	}
	return list[0].secret, nil
}

// working gives those that could be wired.
func working(list []chosen) []*rota.Secret {
	var out []*rota.Secret
	for _, c := range list {
		if c.err == nil {
			out = append(out, c.secret)
		}
	}
	return out
}

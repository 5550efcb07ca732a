package client

import "context"

// watcher calls a function when a secret has changed.
type watcher struct{ changed chan struct{} }

func (w *watcher) signal() {
	select {
	case w.changed <- struct{}{}:
	default: // it will see this change, too
	}
}

// Watch calls f with each version that replaces another, until stop is called or the
// client is closed. It reads nothing by itself: use [Secret.Get] for the first
// version, without which there are no others. Calls never overlap; a version that is
// replaced while f runs may be skipped. Stop doesn't wait for a call that is running.
func (s *Secret) Watch(f func(Value)) (stop func()) {
	ctx, cancel := context.WithCancel(s.client.ctx)
	w := &watcher{changed: make(chan struct{}, 1)}
	s.mu.Lock()
	if s.watchers == nil {
		s.watchers = map[*watcher]bool{}
	}
	s.watchers[w] = true
	s.mu.Unlock()
	forget := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, w)
	}
	s.client.spawn(func() {
		defer forget()
		for {
			select {
			case <-ctx.Done():
				return
			case <-w.changed:
			}
			if ctx.Err() != nil {
				return
			}
			f(Value{s.current.Load()})
		}
	})
	return cancel
}

package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// ErrWentBack is returned for what was decided by what the database held before.
var ErrWentBack = rota.WithRemedies(
	errors.New("the database went back to an older state while this process was running, so nothing was written"),
	rota.Outside("try again in a moment"))

// lastEnd is the end of the audit that this process wrote or saw last. It's what shows that
// the database was replaced by an older state underneath: by a restored backup, a
// point-in-time recovery or a failover to a standby that was behind. The database
// itself can't show that, because the older state was sealed as well.
type lastEnd struct {
	mu    sync.Mutex
	head  head      // zero if this process has seen none yet
	at    time.Time // when
	state int       // counts how often the database went back
	told  int       // the state that [DB.CheckHistory] has reported

	restored int64 // when the database was last marked as restored
}

func (l *lastEnd) get() (head, time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head, l.at
}

// note remembers an end that's on disk. Two committers may note theirs in either
// order, but one that follows a break is the end whatever came before.
func (l *lastEnd) note(h head, at time.Time, afterBreak bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h.seq > l.head.seq || afterBreak && h.seq > 0 {
		l.head, l.at = h, at
	}
}

// goBack makes the end of the older state the one that counts.
func (l *lastEnd) goBack(h head, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.head, l.at = h, at
	l.state++
}

// current is the state that a transaction begins with.
func (l *lastEnd) current() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// tell reports, once each time, that the database went back.
func (l *lastEnd) tell() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	news := l.state != l.told
	l.told = l.state
	return news
}

// markedAt reports whether the database has been marked as restored since the last call.
func (l *lastEnd) markedAt(restored int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	news := restored != l.restored
	l.restored = restored
	return news
}

// restoredLock serializes processes that find out at the same time.
const restoredLock = "restored"

// acceptOlder makes the database's older state the one that this process goes by. The
// first process to notice does what [DB.MarkRestored] does, because nobody may have
// known that there was anything to do, and records in the audit which entries are gone.
func (c *committer) acceptOlder() error {
	t, err := c.begin(restoredLock)
	if err != nil {
		return err
	}
	t.accepts = true
	done, err := t.acceptOlder()
	if err == nil {
		err = t.commit()
	}
	switch {
	case err != nil:
		t.rollback()
		return err
	case !done:
		c.seals.forget()
		c.lastEnd.goBack(t.end, t.now)
	}
	return nil
}

// acceptOlder reports whether another committer has done it.
func (t *tx) acceptOlder() (done bool, err error) {
	lost, written := t.committer.lastEnd.get()
	if there, err := t.holds(lost); err != nil || there {
		return there, err
	}
	if marked, err := t.markedSince(written); err != nil || marked {
		return false, err
	}
	var last int64
	if _, err := t.row(sqlAuditEnd, nil, &last); err != nil {
		return false, err
	}
	broken, err := breakEntry(t.now, &TamperError{
		Seq: min(last+1, lost.seq), Reason: fmt.Sprintf("the database went back to an older state: a process that was running had written entries up to %d", lost.seq),
	})
	if err != nil {
		return false, err
	}
	t.entries = append(t.entries, broken)
	return false, markRestored("rota")(t)
}

// holds reports whether the audit still has an entry.
func (t *tx) holds(h head) (bool, error) {
	if h.seq == 0 {
		return true, nil
	}
	var hash []byte
	_, err := t.row(sqlAuditHash, []any{h.seq}, &hash)
	return bytes.Equal(hash, h.hash[:]), err
}

// markedSince reports whether someone has marked the database as restored since.
func (t *tx) markedSince(written time.Time) (bool, error) {
	const recent = 1000 // there are few entries about all secrets
	marked := false
	err := t.rows(sqlAuditDownOf, []any{0, int64(1) << 62, recent, allSecrets}, func(row scanner) error {
		var seq int64
		var text, hash []byte
		if err := row.Scan(&seq, &text, &hash); err != nil {
			return err
		}
		var e rotation.Entry
		marked = marked || json.Unmarshal(text, &e) == nil && e.Step == rotation.OpRestore && e.At.After(written)
		return nil
	})
	return marked, err
}

// CheckHistory returns [ErrWentBack], once, if the database went back to an older state
// since this process last wrote to the audit, or called CheckHistory. Writes to the
// audit notice that, too. From then on the process goes by the older state, as after
// [DB.MarkRestored].
func (db *DB) CheckHistory(ctx context.Context) error {
	err := db.checkHistory(ctx)
	if db.writer.lastEnd.tell() {
		return ErrWentBack
	}
	return err
}

// TimesWentBack counts how often this process has seen the database go back to an older
// state.
func (db *DB) TimesWentBack() int { return db.writer.lastEnd.current() }

func (db *DB) checkHistory(ctx context.Context) error {
	read, now := readFrom(ctx, db.reader), db.Now()
	known, _ := db.writer.lastEnd.get()
	var hash []byte
	var restored int64
	if _, err := read(sqlRestored, nil, &restored); err != nil {
		return err
	}
	if db.writer.lastEnd.markedAt(restored) {
		db.keys.forget() // this process has missed nothing, but may have opened a key that is gone
	}
	if _, err := read(sqlAuditHash, []any{known.seq}, &hash); err != nil {
		return err
	}
	if known.seq > 0 && !bytes.Equal(hash, known.hash[:]) {
		return db.writer.do(ctx, "", func(t *tx) error { t.checked = true; return nil })
	}
	// Others may have written since. Their end counts, too, if Rota sealed it.
	var end head
	var seal []byte
	found, err := read(sqlHead, nil, &end.seq, &hash, &seal)
	if err == nil && found && len(hash) == len(end.hash) {
		copy(end.hash[:], hash)
		if db.keys.checkSeal(end, seal) == nil {
			db.writer.lastEnd.note(end, now, false)
		}
	}
	return err
}

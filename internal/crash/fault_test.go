package crash

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// call is one outside call, named so that it can be recognized in another
// world.
type call struct {
	system string // "iam", "secretsmanager", "journal", "target", …
	op     string
	about  string
}

func (c call) String() string { return strings.TrimSpace(c.system + " " + c.op + " " + c.about) }

// local reports the calls that no vendor's service answers.
func (c call) local() bool {
	return slices.Contains([]string{"journal", "store", "target", "reloader"}, c.system)
}

// reads reports the calls whose results may be older than the last write.
func (c call) reads() bool {
	switch c.system {
	case "postgres":
		return c.op == "list"
	case "iam", "secretsmanager":
		return strings.HasPrefix(c.op, "List") || strings.HasPrefix(c.op, "Describe") || strings.HasPrefix(c.op, "Get")
	}
	return false
}

// kind is how a call fails.
type kind string

const (
	failsBefore kind = "fails before it acts"
	downBefore  kind = "fails before it acts, and so does all after it"
	replyLost   kind = "acts, but the reply is lost"
	lostDown    kind = "acts, but the reply is lost, and all after it fails"
	dies        kind = "acts, and the process dies"
	slow        kind = "is slower than its deadline"
	throttled   kind = "is throttled till the run ends"
	repeated    kind = "arrives twice"
	stale       kind = "answers stale"
)

// kinds are the ways in which a call can fail.
func kinds(c call) []kind {
	all := []kind{failsBefore, replyLost, dies, slow, repeated}
	if !c.local() {
		all = append(all, downBefore, lostDown)
	}
	if !c.local() && c.system != "postgres" {
		all = append(all, throttled)
	}
	if c.reads() {
		all = append(all, stale)
	}
	return all
}

// plan is the one fault of a cell.
type plan struct {
	bug     func(*rotation.Rotator) // planted, to verify that the matrix finds it; nil for none
	at      int                     // the call's number in the life; -1 for no fault
	step    string
	timeout time.Duration // of each call, if the kind is slow
	call    call
	kind    kind
	lose    bool // the data folder is lost after the run with the fault
}

var (
	// errElsewhere: a different call than the recorded one failed.
	errElsewhere = errors.New("the life went otherwise than when it was recorded")

	errDown = errors.New("injected: the connection was reset")
	errDead = &rota.Error{Class: rota.ClassStop, Err: errors.New("injected: this process is dead")}
)

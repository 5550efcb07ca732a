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

// lists reports the calls whose results may be older than the last write.
func (c call) lists() bool {
	switch c.system {
	case "iam", "secretsmanager":
		return strings.HasPrefix(c.op, "List") || strings.HasPrefix(c.op, "Describe") || strings.HasPrefix(c.op, "Get")
	}
	return c.op == "list"
}

// creates reports the calls that make a credential whose value the issuer chooses.
func (c call) creates() bool { return c.op == "CreateAccessKey" || c.op == "create" }

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

// everyKind is all the ways in which a call can fail.
func everyKind(c call) []kind {
	all := []kind{failsBefore, replyLost, dies, slow, repeated}
	if !c.local() {
		all = append(all, downBefore, lostDown)
	}
	if !c.local() && c.system != "postgres" {
		all = append(all, throttled)
	}
	if c.lists() {
		all = append(all, stale)
	}
	return all
}

// fewKinds are those that say most, for a provider whose store, journal and target
// are others' too. After a call without an effect, nothing is worth dying for.
func fewKinds(c call) []kind {
	effect := begins[c.op] != nil
	switch {
	case c.lists():
		return []kind{downBefore, stale}
	case c.local() && (effect || c.op == "save"):
		return []kind{dies}
	case c.local():
		return nil
	case effect:
		return []kind{failsBefore, replyLost, lostDown, dies, repeated}
	}
	return []kind{downBefore}
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

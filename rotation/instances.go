package rotation

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rota-dev/rota"
)

// RetireWhen says what has to be known before the previous credential goes.
type RetireWhen struct {
	// Within is how long an instance that no longer reports counts as holding what it
	// held. Reports must have been possible for as long since the current credential
	// took the previous one's place.
	Within time.Duration
}

const (
	// LeastWithin is the shortest [RetireWhen].Within: a server that restarts may
	// not be there for a while.
	LeastWithin = time.Minute
	// DefaultWithin is how long a report counts if the policy doesn't say.
	DefaultWithin = 10 * time.Minute
)

// InstanceKeeper is a [Journal] that knows which versions the instances of
// applications hold, because they report it.
type InstanceKeeper interface {
	// Instances returns what the instances that report hold of a secret.
	Instances(ctx context.Context, secret string) (Instances, error)
}

// Instances are those that report what they hold of one secret.
type Instances struct {
	// ListeningSince is since when they could report without a gap; zero if they
	// can't at the moment.
	ListeningSince time.Time
	// Holding is what they hold, by version.
	Holding map[string]HeldBy
	// Total is how many there are. One that holds two versions is one.
	Total int

	known map[[2]string]bool
}

// HeldBy is who holds one version.
type HeldBy struct {
	// Count is how many hold it, and First are some of them, those that have held it
	// for the longest.
	Count int
	First []Instance
	// Uncounted means that there are more than can be counted.
	Uncounted bool
	// Until is when the last report about it expires.
	Until time.Time
}

// Instance is one running copy of an application.
type Instance struct {
	Principal, Name string
	Since           time.Time // when it first reported the version
}

// maxNamed is how many instances are named in a reason.
const maxNamed = 3

// Add adds that an instance holds a version until its report expires. One without a
// name stands for more than can be counted. They're added in the order of Since.
func (i *Instances) Add(one Instance, version string, until time.Time) {
	if i.Holding == nil {
		i.Holding, i.known = map[string]HeldBy{}, map[[2]string]bool{}
	}
	if key := [2]string{one.Principal, one.Name}; one.Name != "" && !i.known[key] {
		i.known[key] = true
		i.Total++
	}
	by := i.Holding[version]
	by.Until = maxTime(by.Until, until)
	switch {
	case one.Name == "":
		by.Uncounted = true
	case len(by.First) < maxNamed:
		by.First = append(slices.Clip(by.First), one)
		fallthrough
	default:
		by.Count++
	}
	i.Holding[version] = by
}

// String names some of the instances.
func (h HeldBy) String() string {
	var names []string
	for _, one := range h.First {
		names = append(names, fmt.Sprintf("%s of %s since %s", one.Name, one.Principal, stamp(one.Since)))
	}
	if more := h.Count - len(h.First); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	if h.Uncounted {
		names = append(names, "more instances than can be counted")
	}
	return strings.Join(names, ", ")
}

// Older is who holds a version that isn't the current one and may be as good as the
// previous one: that one itself, and any that Rota doesn't know. What's known tells
// the credential of a version.
func (i Instances) Older(current, previous string, known func(version string) (credential string)) HeldBy {
	var all HeldBy
	for version, by := range i.Holding {
		if c := known(version); version == current || version != previous && c != "" && c != known(previous) {
			continue
		}
		all.Count += by.Count
		all.Uncounted = all.Uncounted || by.Uncounted
		all.Until = maxTime(all.Until, by.Until)
		all.First = append(all.First, by.First...)
	}
	slices.SortFunc(all.First, func(x, y Instance) int {
		return cmp.Or(x.Since.Compare(y.Since), strings.Compare(x.Principal, y.Principal), strings.Compare(x.Name, y.Name))
	})
	all.First = all.First[:min(len(all.First), maxNamed)]
	return all
}

// countInstances asks the journal what instances hold. Where it can't know, nobody
// can have reported anything.
func (t *turn) countInstances(ctx context.Context) error {
	var found Instances
	if keeper, ok := t.Journal.(InstanceKeeper); ok {
		var err error
		if found, err = keeper.Instances(ctx, t.s.Name); err != nil {
			return fmt.Errorf("ask who holds which version: %w", err)
		}
	}
	t.seen.instances, t.seen.instancesKnown = found, true
	return nil
}

// older is who may hold the previous credential.
func (v *view) older() HeldBy {
	return v.Instances.Older(v.current.ID, v.previous.ID, func(version string) string {
		if stored, ok := rota.FindID(v.Contents.Versions, version); ok {
			return stored.CredentialID
		}
		return v.Progress.Versions[version].CredentialID
	})
}

// heardSince is when instances began to have the chance to report what they hold
// instead of the previous credential.
func (v *view) heardSince() time.Time {
	vp := v.Progress.Versions[v.current.ID]
	return maxTime(v.Instances.ListeningSince, cmp.Or(vp.PromotedAt, v.current.CreatedAt))
}

// instancesRecheck is when it's asked again whether instances have let go. The longer it
// has taken since then, the longer that can wait: each time is a turn.
func (v *view) instancesRecheck(since time.Time) time.Time {
	wait := max(v.policy.RetireWhen.Within/6, 5*time.Second)
	if !since.IsZero() {
		wait = max(wait, v.now.Sub(since)/6)
	}
	return v.now.Add(min(wait, 15*time.Minute))
}

// guardInstances holds back the step that ends logins with the previous credential
// while an instance may hold it, if that's the policy.
func guardInstances(v *view, d Decision) (Decision, bool) {
	if v.policy.RetireWhen == nil || !v.AsksInstances || !v.endsPrevious(d) {
		return Decision{}, false
	}
	if !v.InstancesKnown {
		return Decision{CountInstances: true, Next: d.Step, Version: d.Version, Credential: d.Credential, Due: d.Due, Reason: d.Reason}, true
	}
	var why string
	at, remedies := v.instancesRecheck(d.Due), v.letGo()
	reported := v.heardSince().Add(v.policy.RetireWhen.Within)
	switch by := v.older(); {
	case v.Instances.ListeningSince.IsZero():
		why, remedies = "may still be held: no server runs to which instances could report that they've let go of it", append(rota.Command("rota serve"), without()...)
	case by.Count > 0 || by.Uncounted:
		why = "is still held by " + by.String()
	case v.now.Before(reported):
		at, why, remedies = reported, "may still be held: instances have until "+stamp(reported)+" to report what they hold", nil
	default:
		return Decision{}, false
	}
	return v.hold(HoldInUse, d.Step, earlier(d.Due, v.now), at, remedies, "the previous credential %s %s", v.previous.CredentialID, why)
}

// letGo is what a person can do about instances that hold the previous credential.
func (v *view) letGo() []rota.Remedy {
	return append(rota.Outside("restart the instances that hold it, or have them read it again"),
		append([]rota.Remedy{v.remedy(rota.RemedyForget, "if they're gone for good")}, without()...)...)
}

// without is the remedy to do without the proof.
func without() []rota.Remedy {
	return rota.Configure("retire_when", "remove policy.retire_when, to retire it without knowing who holds it")
}

// switching waits after a reload until the instances that reported an older version
// report the current one: that the reload has run doesn't prove that it worked.
func (v *view) switching() (Decision, bool) {
	if v.policy.RetireWhen == nil || !v.AsksInstances || len(v.Reloaders) == 0 || !v.Progress.Versions[v.current.ID].ServedAt.IsZero() {
		return Decision{}, false
	}
	since := cmp.Or(v.Progress.Versions[v.current.ID].PromotedAt, v.current.CreatedAt)
	if !v.InstancesKnown {
		return Decision{CountInstances: true, Next: rota.StepReload, Version: v.current.ID, Credential: v.current.CredentialID, Due: since}, true
	}
	by := v.older()
	if by.Count == 0 && !by.Uncounted {
		return Decision{}, false
	}
	return Decision{Next: rota.StepReload, Version: v.current.ID, Credential: v.current.CredentialID, Due: since, At: v.instancesRecheck(since), Remedies: v.letGo(),
		Reason: fmt.Sprintf("reloaded, and waiting for %d of %d instances to report the new version: %s", by.Count, v.Instances.Total, by)}, true
}

package vault

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rota-dev/rota"
)

// holds returns the version whose value the entry holds. One that somebody else wrote
// is named after its serial number, and after its time too if there was one of that
// number before: whoever deletes an entry's metadata makes Vault count from 1 again.
func (b *both) holds() (string, error) {
	if b.entry.values == nil {
		if b.Current != "" {
			return "", errDeleted
		}
		return "", nil
	}
	if b.Current != "" && b.Serial == b.entry.version {
		return b.Current, nil
	}
	for _, n := range b.Next {
		if v, known := b.Versions[n.To]; known && n.Serial == b.entry.version && v.is(b.entry.values) {
			return n.To, nil
		}
	}
	if v, known := b.Versions[b.Current]; known && v.is(b.entry.values) {
		return b.Current, nil
	}
	id := fmt.Sprintf("kv-%d", b.entry.version)
	if _, taken := b.Versions[id]; taken {
		id += fmt.Sprintf("-%d", b.entry.created.UnixNano())
	}
	return id, nil
}

// errDeleted is an entry without its current value.
var errDeleted = errors.New("the current value was deleted")

// outdated reports whether the entry is older than what the state knows of it: the
// answer came from a server that lags behind.
func (b *both) outdated() bool {
	return b.entry.version > 0 && b.entry.version < b.Serial && !b.entry.created.After(b.stateCreated)
}

// startOver forgets the entry's serial numbers if its metadata was deleted since, so
// that Vault counts from 1 again.
func (b *both) startOver() {
	same := b.At.IsZero() || b.entry.values == nil || b.entry.created.Equal(b.At)
	if b.entry.version > b.Serial || b.entry.version == b.Serial && same {
		return
	}
	for id, v := range b.Versions {
		v.Serials = nil
		b.Versions[id] = v
	}
	b.Serial, b.Next = 0, nil
}

// overtaken are the promotions that were begun, and whose serial number the entry has
// passed without the state knowing how they ended, in their order.
func (b *both) overtaken() []promotion {
	var out []promotion
	for _, n := range b.Next {
		past := n.Serial < b.entry.version || n.Serial == b.entry.version && b.entry.values == nil
		if _, known := b.Versions[n.To]; known && past && n.Serial > b.Serial {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(x, y promotion) int { return cmp.Compare(x.Serial, y.Serial) })
	return out
}

// is reports whether an entry holds just this version.
func (v kept) is(there values) bool {
	now, err := values(nil).over(v.Fields, true)
	return err == nil && there.equal(now)
}

// foreign is the version of a value that somebody else wrote.
func (b *both) foreign() kept {
	v := kept{Fields: map[string]string{}, CreatedAt: b.entry.created}
	for name, raw := range b.entry.values {
		var text string
		if json.Unmarshal(raw, &text) != nil {
			text = string(raw)
		}
		v.Fields[name] = text
	}
	return v
}

// settle brings the state in line with the entry.
func (b *both) settle() {
	if b.current == "" {
		return
	}
	if _, known := b.Versions[b.current]; !known {
		b.Versions[b.current] = b.foreign()
	}
	b.became(b.current, b.entry.version)
	b.At = b.entry.created
	b.Next = slices.DeleteFunc(b.Next, func(n promotion) bool { return n.Serial <= b.entry.version })
}

// became notes that the entry's serial number holds a version, and moves the labels
// that follow AWSCURRENT.
func (b *both) became(id string, serial int64) {
	v := b.Versions[id]
	if !slices.Contains(v.Serials, serial) {
		v.Serials = append(v.Serials, serial)
	}
	b.Versions[id] = v
	if id != b.Current {
		delete(b.Labels, rota.LabelPrevious)
		if b.Current != "" {
			b.Labels[rota.LabelPrevious] = b.Current
			if b.Labels[rota.LabelPending] == b.Current {
				delete(b.Labels, rota.LabelPending)
			}
		}
	}
	b.Current, b.Serial, b.At = id, serial, time.Time{}
}

// holder returns the version that has a label, "" for none.
func (b *both) holder(l rota.Label) string {
	if l == rota.LabelCurrent {
		return b.current
	}
	return b.Labels[l]
}

// labels are those of a version.
func (b *both) labels(id string) []rota.Label {
	var out []rota.Label
	if id == b.current {
		out = append(out, rota.LabelCurrent)
	}
	for l, on := range b.Labels {
		if on == id {
			out = append(out, l)
		}
	}
	slices.Sort(out)
	return out
}

// wanted reports whether a version is still needed.
func (b *both) wanted(id string) bool {
	return len(b.labels(id)) > 0 || slices.ContainsFunc(b.Next, func(n promotion) bool { return n.To == id })
}

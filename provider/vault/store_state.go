package vault

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/rota-dev/rota"
)

// holds returns the version whose value the entry holds. One that somebody else wrote
// is named after its serial number.
func (b *both) holds() (string, error) {
	if b.entry.values == nil {
		if b.Current != "" {
			return "", errors.New("somebody deleted the current value")
		}
		return "", nil
	}
	for _, n := range b.Next {
		if v, known := b.Versions[n.To]; known && n.Serial == b.entry.version && v.is(b.entry.values) {
			return n.To, nil
		}
	}
	if v, known := b.Versions[b.Current]; known && v.is(b.entry.values) {
		return b.Current, nil
	}
	return fmt.Sprintf("kv-%d", b.entry.version), nil
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
	v, known := b.Versions[b.current]
	if !known {
		v = b.foreign()
	}
	if !slices.Contains(v.Serials, b.entry.version) {
		v.Serials = append(v.Serials, b.entry.version)
	}
	b.Versions[b.current] = v
	if b.current != b.Current {
		b.promoted()
	}
	b.Current, b.Serial = b.current, b.entry.version
	b.Next = slices.DeleteFunc(b.Next, func(n promotion) bool { return n.Serial <= b.entry.version })
}

// promoted moves the labels that follow AWSCURRENT.
func (b *both) promoted() {
	delete(b.Labels, rota.LabelPrevious)
	if b.Current == "" {
		return
	}
	b.Labels[rota.LabelPrevious] = b.Current
	if b.Labels[rota.LabelPending] == b.Current {
		delete(b.Labels, rota.LabelPending)
	}
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

package rotation_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// marks counts the marks of versions that nothing else points to.
func (b *bench) marks(t *testing.T) int {
	t.Helper()
	contents, err := b.store.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, v := range contents.Versions {
		if len(v.Labels) == 1 && v.Has(rota.LabelMade(v.ID)) {
			n++
		}
	}
	return n
}

// callOff takes AWSPENDING off a version, as CancelRotateSecret does.
func (b *bench) callOff(t *testing.T, version string) {
	t.Helper()
	if err := b.store.Move(t.Context(), rota.MoveRequest{Label: rota.LabelPending, From: version}); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) drive(t *testing.T, version string, steps ...rota.Step) {
	t.Helper()
	if steps[0] == rota.StepCreate {
		b.store.Plant(version, rota.Credential{}, rota.LabelPending)
	}
	for _, step := range steps {
		if _, err := b.rotator.Drive(t.Context(), b.secret, rotation.DriveRequest{Step: step, Version: version}); err != nil {
			t.Fatalf("%s of %s: %v", step, version, err)
		}
	}
}

func TestMarksOfPasswordsThatWereCalledOffDontPileUp(t *testing.T) {
	b := newBench(t)
	newLogin(t, b)
	for n := range 20 {
		version := fmt.Sprintf("%036d", n)
		b.days(1)
		b.drive(t, version, rota.StepCreate, rota.StepSet)
		b.callOff(t, version)
		if marks := b.marks(t); marks > 2 || marks == 0 {
			t.Fatalf("after %d rotations that were called off, %d versions are marked, want the last ones only", n+1, marks)
		}
	}
	// The password that was set last is still known, and tried.
	b.days(1)
	b.drive(t, strings.Repeat("e", 36), rota.StepCreate, rota.StepSet, rota.StepTest, rota.StepPromote)
	b.days(1)
	b.drive(t, strings.Repeat("f", 36), rota.StepCreate)
	if marks := b.marks(t); marks != 0 {
		t.Errorf("once another password is in force, %d marks are left", marks)
	}
}

func TestMarksOfKeysThatAreGoneDontPileUp(t *testing.T) {
	b := newBench(t)
	b.advance(t, rotation.Options{})
	for n := range 20 {
		version := fmt.Sprintf("%036d", n)
		b.days(1)
		b.drive(t, version, rota.StepCreate)
		b.callOff(t, version)
		if marks := b.marks(t); marks != 1 {
			t.Fatalf("after %d rotations that were called off, %d versions are marked", n+1, marks)
		}
		// Rota can't know who uses the key, so a person deletes it.
		c, err := b.store.Get(t.Context(), rota.GetRequest{Version: version})
		if err != nil {
			t.Fatal(err)
		}
		id := rota.RetireRequest{CredentialID: b.keys.CredentialID(c)}
		if err := b.keys.Deactivate(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if err := b.keys.Delete(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
}

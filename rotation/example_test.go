package rotation_test

import (
	"context"
	"fmt"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// clock is a time that passes only when it's told to.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

// world is a secret whose systems are all in memory.
func world(c *clock) (*rotation.Rotator, *rotation.Secret, *memory.Target) {
	options := memory.Options{Now: c.Now}
	target := memory.NewTarget("app", options)
	secret := &rotation.Secret{
		Name:    "prod/orders-s3",
		Issuer:  memory.NewAccessKeys(memory.AccessKeysOptions{Options: options}),
		Store:   memory.NewStore(options),
		Targets: []rota.Target{target},
		Policy: rotation.Policy{
			RotateEvery:             90 * rota.Day,
			DeactivatePreviousAfter: 10 * rota.Day,
			DeletePreviousAfter:     20 * rota.Day,
		},
	}
	n := 0
	return &rotation.Rotator{
		Journal: memory.NewJournal(options),
		Now:     c.Now,
		Sleep:   func(context.Context, time.Duration) error { return nil },
		NewID: func() string {
			n++
			return fmt.Sprintf("%s%d", rota.VersionPrefix, n)
		},
	}, secret, target
}

// A rotator takes a secret through its life. Here everything is in memory, and
// time passes at once.
func ExampleRotator() {
	c := &clock{now: time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)}
	rotator, secret, target := world(c)
	for range 4 {
		result, err := rotator.Advance(context.Background(), secret, rotation.Options{Due: true})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Print(c.now.Format(time.DateOnly), ":")
		for _, d := range result.Done {
			fmt.Print(" ", d.Step)
		}
		fmt.Println()
		c.now = result.Last.At
	}
	delivered, _ := target.Current()
	fmt.Println("the app has version", delivered.Version)
	// Output:
	// 2026-01-01: create test promote deliver
	// 2026-04-01: create test promote deliver
	// 2026-04-11: deactivate
	// 2026-04-21: delete
	// the app has version rota-2
}

// A projection tells what will happen and when, without doing any of it.
func ExampleProject() {
	c := &clock{now: time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)}
	rotator, secret, _ := world(c)
	ctx := context.Background()
	if _, err := rotator.Advance(ctx, secret, rotation.Options{}); err != nil {
		fmt.Println(err)
		return
	}
	state, _, err := rotator.Observe(ctx, secret)
	if err != nil {
		fmt.Println(err)
		return
	}
	for planned := range rotation.Project(state, secret.Policy, c.now, c.now.AddDate(0, 4, 0)) {
		fmt.Printf("%s  %s\n", planned.At.Format(time.DateOnly), planned.Decision.Step)
	}
	// Output:
	// 2026-04-01  create
	// 2026-04-01  test
	// 2026-04-01  promote
	// 2026-04-01  deliver
	// 2026-04-11  deactivate
	// 2026-04-21  delete
}

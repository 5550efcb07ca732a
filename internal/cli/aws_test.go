package cli_test

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/aws/awstest"
)

// cloud is a script's in-memory AWS.
type cloud struct {
	*awstest.Server

	mu      sync.Mutex
	stopped time.Time // zero for the machine's clock

	made map[string][2]string // access keys, by user: id and secret
}

// clouds are those of the scripts that run, by their work folder.
var clouds sync.Map

func cloudOf(ts *testscript.TestScript) *cloud {
	c, ok := clouds.Load(ts.Getenv("WORK"))
	if !ok {
		ts.Fatalf("no AWS runs (try: aws start)")
	}
	return c.(*cloud)
}

func (c *cloud) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped.IsZero() {
		return time.Now()
	}
	return c.stopped
}

func (c *cloud) stop(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = at
}

// clockCommand stops the clocks at a moment, clock 2026-01-01T09:00:00Z, or so
// long after the machine's time: clock +10d.
func clockCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: clock TIME")
	}
	at, err := time.Parse(time.RFC3339, args[0])
	if later, ok := strings.CutPrefix(args[0], "+"); ok {
		var d time.Duration
		d, err = rota.ParseDuration(later)
		at = time.Now().Add(d)
	}
	ts.Check(err)
	ts.Setenv(clockVariable, at.Format(time.RFC3339Nano))
	if c, ok := clouds.Load(ts.Getenv("WORK")); ok {
		c.(*cloud).stop(at)
	}
}

// awsCommand is the in-memory AWS:
//
//	aws start                  starts it, and lets rota log in as an administrator
//	aws user NAME              makes an IAM user
//	aws role NAME ACTION...    makes a role with these rights, which everybody may assume
//	aws console USER           gives a user a password
//	aws allow USER ACTION...   gives a user rights
//	aws key USER               makes an access key, for the next three
//	aws fields USER            prints it as adopt takes it
//	aws typed USER             prints it as a person types it
//	aws entry NAME USER        makes an entry of Secrets Manager that holds it
//	aws keys USER              prints the user's keys and their states
//	aws used USER N AGE        the user's key N, from 0, was used so long ago
//	aws text NAME LABEL        prints a version's text
//	aws topic NAME             makes an SNS topic
//	aws published NAME         prints what was published to it
//	aws bucket NAME USER...    makes a bucket that the users may read
func awsCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: aws COMMAND ARGUMENT...")
	}
	if args[0] == "start" {
		startCloud(ts)
		return
	}
	c, out := cloudOf(ts), ts.Stdout()
	switch command, rest := args[0], args[1:]; command {
	case "user":
		c.CreateUser(rest[0])
	case "role":
		ts.Setenv("ROLE_ARN", c.CreateRole(rest[0], rest[1:]...))
	case "console":
		c.SetConsole(rest[0], true)
	case "allow":
		c.Allow(rest[0], rest[1:]...)
	case "key":
		id, secret, err := c.CreateAccessKey(rest[0])
		ts.Check(err)
		c.made[rest[0]] = [2]string{id, secret}
	case "fields":
		k := c.made[rest[0]]
		fmt.Fprintf(out, `{"access_key_id": %q, "secret_access_key": %q}`, k[0], k[1])
	case "typed":
		k := c.made[rest[0]]
		fmt.Fprintf(out, "%s\n%s\n", k[0], k[1])
	case "entry":
		k := c.made[rest[1]]
		_, _, err := c.CreateSecret(rest[0], fmt.Sprintf(`{"access-id":%q,"secret-key":%q,"color":"blue"}`, k[0], k[1]))
		ts.Check(err)
	case "keys":
		for _, k := range c.Keys(rest[0]) {
			fmt.Fprintf(out, "%s %s\n", k.ID, k.Status)
		}
	case "used":
		age, err := rota.ParseDuration(rest[2])
		ts.Check(err)
		var n int
		_, err = fmt.Sscan(rest[1], &n)
		ts.Check(err)
		c.SetLastUsed(c.Keys(rest[0])[n].ID, c.now().Add(-age), "s3", c.Region())
	case "text":
		text, ok := c.SecretText(rest[0], rest[1])
		if !ok {
			ts.Fatalf("no version of %s is %s", rest[0], rest[1])
		}
		fmt.Fprint(out, text)
	case "topic":
		ts.Setenv("TOPIC_ARN", c.CreateTopic(rest[0]))
	case "published":
		for _, m := range c.Published(ts.Getenv("TOPIC_ARN")) {
			fmt.Fprintf(out, "%s\n%s\n", m.Subject, m.Body)
		}
	case "bucket":
		c.CreateBucket(rest[0], rest[1:]...)
	default:
		ts.Fatalf("aws has no command %s", command)
	}
}

func startCloud(ts *testscript.TestScript) {
	c := &cloud{made: map[string][2]string{}}
	if text := ts.Getenv(clockVariable); text != "" {
		at, err := time.Parse(time.RFC3339, text)
		ts.Check(err)
		c.stopped = at
	}
	server, err := awstest.New(awstest.Options{Now: c.now})
	ts.Check(err)
	c.Server = server
	folder := ts.Getenv("WORK")
	clouds.Store(folder, c)
	ts.Defer(func() {
		clouds.Delete(folder)
		server.Close()
	})
	for _, pair := range server.Env(server.RootCredentials()) {
		name, value, _ := strings.Cut(pair, "=")
		ts.Setenv(name, value)
	}
	ts.Setenv("AWS_ENDPOINT", server.URL())
}

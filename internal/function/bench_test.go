package function_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota/internal/function/runtimetest"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/aws/awstest"
)

// BenchmarkColdStart measures what one process of the function uses from its
// start to the end of a rotation's four steps, next to the same function in
// Python with boto3: processor time, memory, and the time until it first asks
// for an event.
func BenchmarkColdStart(b *testing.B) {
	script, err := filepath.Abs("testdata/rotation.py")
	if err != nil {
		b.Fatal(err)
	}
	bootstrap, err := testenv.ProgramForLambda(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Run("bootstrap", func(b *testing.B) { coldStart(b, bootstrap) })
	b.Run("rota", func(b *testing.B) { coldStart(b, program) })
	b.Run("python", func(b *testing.B) { coldStart(b, testenv.VenvProgram(b, "python"), script) })
}

func coldStart(b *testing.B, command ...string) {
	var cpu, wall time.Duration
	var rss int64
	for b.Loop() {
		s, err := awstest.New(awstest.Options{})
		if err != nil {
			b.Fatal(err)
		}
		s.CreateUser(user)
		arn, _, err := s.CreateSecret("prod/cms", `{"note": "kept"}`)
		if err != nil {
			b.Fatal(err)
		}
		token, err := s.AnnounceVersion("prod/cms")
		if err != nil {
			b.Fatal(err)
		}
		env := slices.DeleteFunc(s.Env(s.RootCredentials()), func(v string) bool { return strings.HasSuffix(v, "=") }) // boto3 takes an empty profile as a name
		f := runtimetest.Deploy(b, append(env, "AWS_DEFAULT_REGION="+s.Region(), "IAM_USER_NAME="+user), command...)
		for _, step := range protocol {
			if err := f.Invoke(stepEvent(arn, token, step)).Err(); err != nil {
				b.Fatalf("%s: %v\n%s", step, err, f.Output())
			}
		}
		f.Kill()
		if got := s.Labels("prod/cms")["AWSCURRENT"]; got != token {
			b.Fatalf("AWSCURRENT is on %s, want %s", got, token)
		}
		u := f.Usage()[0]
		cpu, wall, rss = cpu+u.CPU, wall+u.Wall, rss+u.MaxRSS
		s.Close()
	}
	n := float64(b.N)
	b.ReportMetric(float64(cpu.Milliseconds())/n, "cpu-ms/op")
	b.ReportMetric(float64(wall.Milliseconds())/n, "start-ms/op")
	b.ReportMetric(float64(rss)/n/(1<<20), "rss-MiB/op")
}

//go:build unix

package testenv

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// ferretVersion is the release that hack/testenv.sh builds.
const ferretVersion = "v1.24.2"

// FerretDBServer is a private FerretDB on 127.0.0.1, which speaks MongoDB's protocol
// and keeps its data in SQLite. It has users and SCRAM, but neither roles nor
// customData, authenticationRestrictions or $currentOp: whoever logs in may do
// anything.
type FerretDBServer struct {
	Addr string // host:port
	Dir  string // holds the data, and the log

	child
	client *mongo.Client
}

// FerretDBOptions configure a test's FerretDB. The zero value is one without TLS.
type FerretDBOptions struct {
	// CertFile and KeyFile, if set, make the server use TLS, on its only port.
	CertFile, KeyFile string
}

// Who administers a FerretDB.
const (
	FerretDBUser     = "root"
	FerretDBPassword = "superuser-of-the-tests"
)

// FerretDB starts a private FerretDB and stops it when the test ends.
func FerretDB(t testing.TB, o FerretDBOptions) *FerretDBServer {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(cache, "rota-test", "ferretdb-"+ferretVersion)
	if _, err := os.Stat(program); err != nil {
		Missing(t, "FerretDB", "hack/testenv.sh")
	}
	s := &FerretDBServer{Dir: t.TempDir(), Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(FreePort(t)))}
	login := options.Client().SetHosts([]string{s.Addr}).SetDirect(true).SetServerSelectionTimeout(time.Second).
		SetAuth(options.Credential{Username: FerretDBUser, Password: FerretDBPassword})
	listen := []string{"--listen-addr=" + s.Addr}
	if o.CertFile != "" {
		listen = []string{"--listen-addr=", "--listen-tls=" + s.Addr, "--listen-tls-cert-file=" + o.CertFile, "--listen-tls-key-file=" + o.KeyFile}
		trust, err := options.BuildTLSConfig(map[string]any{"tlsCAFile": o.CertFile})
		if err != nil {
			t.Fatal(err)
		}
		login.SetTLSConfig(trust)
	}
	if s.client, err = mongo.Connect(login); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.client.Disconnect(context.Background()) })
	err = s.start(launch{
		Name: "FerretDB", Program: program, Log: s.LogFile(), Stop: "KILL",
		Args: append(listen, "--handler=sqlite", "--sqlite-url=file:"+s.Dir+"/", "--state-dir="+s.Dir, "--debug-addr=-", "--telemetry=disable",
			"--test-enable-new-auth", "--setup-database=admin", "--setup-username="+FerretDBUser, "--setup-password="+FerretDBPassword),
		Ready: func(ctx context.Context) error { return s.client.Ping(ctx, nil) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.end)
	return s
}

// LogFile returns the path of the server's log.
func (s *FerretDBServer) LogFile() string { return filepath.Join(s.Dir, "log") }

// Do runs a command as the superuser.
func (s *FerretDBServer) Do(t testing.TB, database string, command bson.D) bson.Raw {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	answer, err := s.client.Database(database).RunCommand(ctx, command).Raw()
	if err != nil {
		t.Fatalf("%s: %v", command[0].Key, err)
	}
	return answer
}

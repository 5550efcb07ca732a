package tlscert_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"time"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/tlscert"
)

// A server and a client whose certificates are rotated.
func ExampleNew() {
	secrets, err := client.Open(client.Options{Source: client.Static{
		"prod/orders-tls": client.NewValue("v1", map[string]string{"tls.crt": "…", "tls.key": "…", "ca.crt": "…"}),
	}})
	if err != nil {
		panic(err)
	}
	defer secrets.Close()

	c := tlscert.New(secrets.Secret("prod/orders-tls"), tlscert.Options{})
	server := &http.Server{TLSConfig: c.Server(&tls.Config{MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAndVerifyClientCert}), ReadHeaderTimeout: time.Minute}
	peers := &http.Client{Transport: &http.Transport{DialTLSContext: c.Dial(nil)}}
	fmt.Println(server.TLSConfig.GetConfigForClient != nil, peers.Transport != nil)
	// Output: true true
}

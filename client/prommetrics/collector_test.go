package prommetrics_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/clienttest"
	"github.com/rota-dev/rota/client/prommetrics"
)

func TestHowFreshSecretsAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := clienttest.NewSource()
		source.DisablePush()
		source.Set("prod/orders-db", map[string]string{"password": "canary"})
		c, err := client.Open(client.Options{Source: source, Every: time.Minute, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		began := time.Now().Unix()
		if _, err := c.Secret("prod/orders-db").Get(t.Context()); err != nil {
			t.Fatal(err)
		}
		_ = c.Secret("prod/not-read-yet")
		want := func(confirmed, failing int64, success, failure int) {
			t.Helper()
			text := fmt.Sprintf(`# HELP rota_client_refreshes_total Requests to the source, by result.
# TYPE rota_client_refreshes_total counter
rota_client_refreshes_total{result="failure",secret="prod/not-read-yet"} 0
rota_client_refreshes_total{result="success",secret="prod/not-read-yet"} 0
rota_client_refreshes_total{result="failure",secret="prod/orders-db"} %d
rota_client_refreshes_total{result="success",secret="prod/orders-db"} %d
# HELP rota_client_secret_confirmed_timestamp_seconds When the source last said that the value in use is the current one; 0 if it's from the cache.
# TYPE rota_client_secret_confirmed_timestamp_seconds gauge
rota_client_secret_confirmed_timestamp_seconds{secret="prod/orders-db"} %d
# HELP rota_client_secret_failing_requests Requests to the source that failed in a row.
# TYPE rota_client_secret_failing_requests gauge
rota_client_secret_failing_requests{secret="prod/not-read-yet"} 0
rota_client_secret_failing_requests{secret="prod/orders-db"} %d
# HELP rota_client_secret_version_timestamp_seconds When the client first saw the version in use.
# TYPE rota_client_secret_version_timestamp_seconds gauge
rota_client_secret_version_timestamp_seconds{secret="prod/orders-db"} %d
`, failure, success, confirmed, failing, began)
			if err := testutil.CollectAndCompare(prommetrics.New(c), strings.NewReader(text)); err != nil {
				t.Error(err)
			}
		}
		want(began, 0, 1, 0)
		source.Fail(errors.New("no route to host"))
		time.Sleep(70 * time.Second)
		status := c.Secret("prod/orders-db").Status()
		if status.Failures == 0 {
			t.Fatal("nothing has failed")
		}
		want(began, int64(status.Failures), 1, status.Failures)
		source.Fail(nil)
		time.Sleep(2 * time.Minute)
		status = c.Secret("prod/orders-db").Status()
		if status.Failures != 0 || status.Succeeded < 2 || !status.ConfirmedAt.After(time.Unix(began+70, 0)) {
			t.Errorf("after the outage: %+v", status)
		}
	})
}

// A value from the disk hasn't been confirmed.
func TestAValueFromTheCache(t *testing.T) {
	cache, err := client.FileCache(t.TempDir(), []byte("0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	if err := cache.Save("prod/orders-db", client.NewValue("v1", map[string]string{"password": "canary"})); err != nil {
		t.Fatal(err)
	}
	source := clienttest.NewSource()
	source.Fail(errors.New("no route to host"))
	c, err := client.Open(client.Options{Source: source, Cache: cache, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Secret("prod/orders-db").Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(prommetrics.New(c))
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			seen[f.GetName()] += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	if seen["rota_client_secret_confirmed_timestamp_seconds"] != 0 || seen["rota_client_secret_version_timestamp_seconds"] == 0 || seen["rota_client_refreshes_total"] == 0 {
		t.Errorf("%v", seen)
	}
}

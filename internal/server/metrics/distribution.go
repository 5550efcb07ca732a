package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rota-dev/rota"
)

// distribution count durations by their length.
type distribution struct {
	bounds []time.Duration
	counts []uint64 // up to each bound, and above the one before
	count  uint64
	sum    time.Duration
}

var (
	ageBounds   = []time.Duration{rota.Day, 7 * rota.Day, 14 * rota.Day, 30 * rota.Day, 60 * rota.Day, 90 * rota.Day, 120 * rota.Day, 180 * rota.Day, 365 * rota.Day, 730 * rota.Day}
	lateBounds  = []time.Duration{time.Hour, 6 * time.Hour, rota.Day, 2 * rota.Day, 7 * rota.Day, 30 * rota.Day, 90 * rota.Day}
	untilBounds = []time.Duration{0, time.Hour, 6 * time.Hour, rota.Day, 7 * rota.Day, 30 * rota.Day, 90 * rota.Day, 180 * rota.Day, 365 * rota.Day}
)

func newDistribution(bounds []time.Duration) distribution {
	return distribution{bounds: bounds, counts: make([]uint64, len(bounds))}
}

func (c *distribution) add(d time.Duration) {
	c.count++
	c.sum += d
	for i, bound := range c.bounds {
		if d <= bound {
			c.counts[i]++
			return
		}
	}
}

// metric gives the classes as a histogram.
func (c *distribution) metric(desc *prometheus.Desc) prometheus.Metric {
	cumulative, below := make(map[float64]uint64, len(c.bounds)), uint64(0)
	for i, bound := range c.bounds {
		below += c.counts[i]
		cumulative[bound.Seconds()] = below
	}
	return prometheus.MustNewConstHistogram(desc, c.count, c.sum.Seconds(), cumulative)
}

package function

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/provider/aws"
)

// loadConfig reads the configuration from where the environment says it is.
// Each invocation reads it again, so that an edit takes effect immediately. A
// location that's temporarily unavailable isn't an error in the settings.
func loadConfig(ctx context.Context, known *config.Catalog, s settings, c *aws.Connection) (*config.File, error) {
	file, err := readConfig(ctx, known, s, c)
	if failed, ok := errors.AsType[*rota.Error](err); ok && failed.Class == rota.ClassWait {
		return nil, err
	}
	if err != nil {
		return nil, &configError{err}
	}
	return file, nil
}

// configLocations are examples of locations outside the zip.
const configLocations = "s3://bucket/rota.yaml, ssm:///rota/config, or a file in the zip"

func readConfig(ctx context.Context, known *config.Catalog, s settings, c *aws.Connection) (*config.File, error) {
	if s.configYAML != "" {
		return known.Parse("ROTA_CONFIG_YAML", []byte(s.configYAML))
	}
	scheme, place, remote := strings.Cut(s.config, "://")
	if !remote {
		return known.Load(ctx, s.config)
	}
	switch scheme {
	case "s3":
		bucket, key, _ := strings.Cut(place, "/")
		if bucket == "" || key == "" {
			return nil, rota.WithRemedies(fmt.Errorf("ROTA_CONFIG names no object: %s", s.config), rota.Outside(configLocations))
		}
		data, err := c.Object(ctx, bucket, key)
		if err != nil {
			return nil, fmt.Errorf("ROTA_CONFIG: %w", err)
		}
		return known.Parse(s.config, data)
	case "ssm":
		if strings.Trim(place, "/") == "" {
			return nil, rota.WithRemedies(fmt.Errorf("ROTA_CONFIG names no parameter: %s", s.config), rota.Outside(configLocations))
		}
		text, err := c.ParameterText(ctx, place)
		if err != nil {
			return nil, fmt.Errorf("ROTA_CONFIG: %w", err)
		}
		return known.Parse(s.config, []byte(text))
	}
	return nil, rota.WithRemedies(fmt.Errorf("ROTA_CONFIG has the unknown scheme %s://", scheme), rota.Outside(configLocations))
}

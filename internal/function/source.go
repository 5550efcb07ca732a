package function

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"rota/config"
	"rota/provider/aws"
)

// load reads the configuration from where the environment says it is. It is read
// anew for each invocation, so that an edit counts at once.
func load(ctx context.Context, s settings, c *aws.Connection) (*config.File, error) {
	file, err := read(ctx, s, c)
	if err != nil {
		return nil, &configError{err}
	}
	return file, nil
}

func read(ctx context.Context, s settings, c *aws.Connection) (*config.File, error) {
	scheme, _, remote := strings.Cut(s.config, "://")
	if s.configYAML != "" {
		return config.Parse("ROTA_CONFIG_YAML", []byte(s.configYAML))
	}
	if !remote {
		return config.Load(s.config)
	}
	place, err := url.Parse(s.config)
	if err != nil {
		return nil, fmt.Errorf("ROTA_CONFIG is no address (try: s3://bucket/rota.yaml, ssm:///rota/config, or a file in the zip)")
	}
	switch scheme {
	case "s3":
		data, err := c.Object(ctx, place.Host, strings.TrimPrefix(place.Path, "/"))
		if err != nil {
			return nil, err
		}
		return config.Parse(s.config, data)
	case "ssm":
		text, err := c.ParameterText(ctx, place.Host+place.Path)
		if err != nil {
			return nil, err
		}
		return config.Parse(s.config, []byte(text))
	}
	return nil, fmt.Errorf("ROTA_CONFIG begins with %s:// (try: s3://bucket/rota.yaml, ssm:///rota/config, or a file in the zip)", scheme)
}

package aws

import (
	"context"
	"errors"
	"fmt"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/rota-dev/rota"
)

// Tags that RDS itself puts on the secret in which it manages the password of a
// database's master. Nobody else can set a tag that begins with aws:.
const (
	instanceTag = "aws:rds:primarydbinstancearn"
	clusterTag  = "aws:rds:primarydbclusterarn"
)

// ManagedDatabase asks RDS for the address of the database whose master password
// RDS manages in this secret. For a cluster, that's its writer's address. It
// returns [rota.ErrNotFound] if RDS doesn't manage the secret.
func (c *Connection) ManagedDatabase(ctx context.Context, e Entry) (host string, port int, err error) {
	for key, arn := range e.Tags {
		switch strings.ToLower(key) {
		case instanceTag:
			return c.instanceAddress(ctx, arn)
		case clusterTag:
			return c.clusterAddress(ctx, arn)
		}
	}
	return "", 0, fmt.Errorf("secret %s: RDS doesn't manage it: %w", e.Name, rota.ErrNotFound)
}

func (c *Connection) instanceAddress(ctx context.Context, arn string) (string, int, error) {
	op := "describe the database " + arn
	out, err := c.rds.DescribeDBInstances(ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: &arn})
	if err != nil {
		return "", 0, c.fail(op, err)
	}
	if len(out.DBInstances) != 1 || out.DBInstances[0].Endpoint == nil {
		return "", 0, c.unaddressed(op)
	}
	at := out.DBInstances[0].Endpoint
	return c.address(op, at.Address, at.Port)
}

func (c *Connection) clusterAddress(ctx context.Context, arn string) (string, int, error) {
	op := "describe the cluster " + arn
	out, err := c.rds.DescribeDBClusters(ctx, &rds.DescribeDBClustersInput{DBClusterIdentifier: &arn})
	if err != nil {
		return "", 0, c.fail(op, err)
	}
	clusters := out.DBClusters
	if len(clusters) != 1 {
		return "", 0, c.unaddressed(op)
	}
	return c.address(op, clusters[0].Endpoint, clusters[0].Port)
}

func (c *Connection) address(op string, host *string, port *int32) (string, int, error) {
	if awssdk.ToString(host) == "" || awssdk.ToInt32(port) == 0 {
		return "", 0, c.unaddressed(op)
	}
	return *host, int(*port), nil
}

// unaddressed is the error for a database that's still being created, or deleted.
func (c *Connection) unaddressed(op string) error {
	return &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: rota.ClassWait, Err: errors.New("RDS names no address for it")}
}

// databasePermissions returns what's needed to look up the database of a secret
// that RDS manages.
func (p Place) databasePermissions() []Permission {
	const why = "asks RDS at which address the database is whose master's password it manages"
	return []Permission{
		{ID: "FindDatabases", Action: "rds:DescribeDBInstances", Resource: p.arn("rds", "db:*"), Why: why},
		{ID: "FindDatabases", Action: "rds:DescribeDBClusters", Resource: p.arn("rds", "cluster:*"), Why: why},
	}
}

// rdsManages reports whether RDS manages the secret with this name or ARN: it
// names those that it does rds!db-… and rds!cluster-….
func rdsManages(id string) bool {
	_, name, isARN := strings.Cut(id, ":secret:")
	if !isARN {
		name = id
	}
	return strings.HasPrefix(name, "rds!")
}

package aws

import (
	"context"
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// Connection implements [PermissionHolder].
func (k *accessKeys) Connection() *Connection { return k.connection }

// User returns the IAM user who owns the keys.
func (k *accessKeys) User() string { return k.user }

// Permissions implements [PermissionHolder]. A user can have a path, which only
// IAM knows.
func (k *accessKeys) Permissions(ctx context.Context, at Place) []Permission {
	arn := at.arn("iam", "user/"+k.user)
	if at.Ask {
		if out, err := k.connection.iam.GetUser(ctx, &iam.GetUserInput{UserName: &k.user}); err == nil && out.User != nil {
			arn = awssdk.ToString(out.User.Arn)
		}
	}
	return k.needs(arn)
}

// needs returns the permissions needed on the user with this ARN. All of them can
// be restricted to a user, even GetAccessKeyLastUsed, which takes a key.
func (k *accessKeys) needs(user string) []Permission {
	return slices.Concat(
		Permission{ID: "RotateAccessKeys", Resource: user}.each(
			reason{"iam:CreateAccessKey", "makes the next key"},
			reason{"iam:ListAccessKeys", "sees which keys there are, and whether there is room for one more"},
			reason{"iam:GetAccessKeyLastUsed", "sees whether the previous key is still in use"},
			reason{"iam:UpdateAccessKey", "switches the previous key off, and on again for a rollback"},
			reason{"iam:DeleteAccessKey", "deletes the previous key"}),
		Permission{ID: "RotateAccessKeys", Resource: user, For: ToCheck}.each(
			reason{"iam:GetUser", "sees that the user exists"}),
	)
}

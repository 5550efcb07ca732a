package mongodbtest

import (
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// change is what createUser and updateUser take. What's nil stays as it is.
type change struct {
	Create, Update string
	Password       *string        `bson:"pwd"`
	CustomData     *bson.D        `bson:"customData"`
	Roles          *[]Role        `bson:"roles"`
	Mechanisms     *[]string      `bson:"mechanisms"`
	Restrictions   *[]Restriction `bson:"authenticationRestrictions"`
}

var both = []string{"SCRAM-SHA-1", "SCRAM-SHA-256"}

// apply changes a user.
func (in change) apply(name string, u *User) error {
	if in.Mechanisms != nil {
		for _, m := range *in.Mechanisms {
			if !slices.Contains(both, m) {
				return fmt.Errorf("unknown auth mechanism '%s'", m)
			}
		}
	}
	switch {
	case in.Password != nil:
		if *in.Password == "" {
			return fmt.Errorf("password cannot be empty")
		}
		mechanisms := both
		if in.Mechanisms != nil {
			mechanisms = *in.Mechanisms
		}
		made, err := credentials(name, *in.Password, mechanisms)
		if err != nil {
			return err
		}
		u.Credentials = made
	case in.Mechanisms != nil:
		return fmt.Errorf("the stand-in doesn't change mechanisms without the password")
	}
	if in.CustomData != nil {
		u.CustomData = *in.CustomData
	}
	if in.Roles != nil {
		u.Roles = *in.Roles
	}
	if in.Restrictions != nil {
		u.Restrictions = *in.Restrictions
	}
	return nil
}

func (s *Server) createUser(c *conn, db string, command bson.D) bson.D {
	name, _ := command[0].Value.(string)
	var in change
	switch err := into(command, &in); {
	case err != nil:
		return failure(errBadValue, err.Error())
	case !s.may(c, "createUser", db):
		return denied(db, "createUser")
	case in.Password == nil || in.Roles == nil || name == "":
		return failure(errBadValue, "a user needs a name, pwd and roles")
	case s.users[id{name, db}] != nil:
		return failure(errUserExists, fmt.Sprintf("User %q already exists", name+"@"+db))
	}
	u := &User{}
	if err := in.apply(name, u); err != nil {
		return failure(errBadValue, err.Error())
	}
	s.users[id{name, db}] = u
	return success()
}

func (s *Server) updateUser(c *conn, db string, command bson.D) bson.D {
	name, _ := command[0].Value.(string)
	var in change
	if err := into(command, &in); err != nil {
		return failure(errBadValue, err.Error())
	}
	for action, asked := range map[string]bool{
		"changePassword": in.Password != nil, "changeCustomData": in.CustomData != nil,
		"setAuthenticationRestriction": in.Restrictions != nil, "grantRole": in.Roles != nil, "revokeRole": in.Roles != nil,
	} {
		if asked && !s.may(c, action, db) {
			return denied(db, "updateUser")
		}
	}
	old := s.users[id{name, db}]
	if old == nil {
		return failure(errUserNotFound, fmt.Sprintf("User %q not found", name+"@"+db))
	}
	u := *old
	if err := in.apply(name, &u); err != nil {
		return failure(errBadValue, err.Error())
	}
	s.users[id{name, db}] = &u
	return success()
}

func (s *Server) dropUser(c *conn, db string, command bson.D) bson.D {
	name, _ := command[0].Value.(string)
	if !s.may(c, "dropUser", db) {
		return denied(db, "dropUser")
	}
	delete(s.users, id{name, db})
	return success()
}

func (s *Server) usersInfo(c *conn, db string, command bson.D) bson.D {
	var in struct {
		Credentials  bool `bson:"showCredentials"`
		Restrictions bool `bson:"showAuthenticationRestrictions"`
	}
	var exact struct {
		Users []struct{ User, DB string } `bson:"usersInfo"`
	}
	if err := into(command, &in); err != nil {
		return failure(errBadValue, err.Error())
	}
	if err := into(command, &exact); err != nil {
		if in.Restrictions {
			return failure(errBadValue, "Privilege or restriction details require exact-match usersInfo queries")
		}
		for who := range s.users {
			if who.db == db {
				exact.Users = append(exact.Users, struct{ User, DB string }{who.name, who.db})
			}
		}
	}
	found := bson.A{}
	for _, wanted := range exact.Users {
		if !s.may(c, "viewUser", wanted.DB) {
			return denied(db, "usersInfo")
		}
		u := s.users[id{wanted.User, wanted.DB}]
		if u == nil {
			continue
		}
		shown := bson.D{
			{Key: "_id", Value: wanted.DB + "." + wanted.User}, {Key: "user", Value: wanted.User}, {Key: "db", Value: wanted.DB},
			{Key: "roles", Value: u.Roles}, {Key: "mechanisms", Value: u.Mechanisms()},
		}
		if u.CustomData != nil {
			shown = append(shown, bson.E{Key: "customData", Value: u.CustomData})
		}
		if in.Credentials {
			shown = append(shown, bson.E{Key: "credentials", Value: u.Credentials})
		}
		if in.Restrictions {
			shown = append(shown, bson.E{Key: "authenticationRestrictions", Value: u.Restrictions})
		}
		found = append(found, shown)
	}
	return success(bson.E{Key: "users", Value: found})
}

func (s *Server) createRole(c *conn, db string, command bson.D) bson.D {
	name, _ := command[0].Value.(string)
	var in struct {
		Privileges []Privilege `bson:"privileges"`
		Roles      bson.A      `bson:"roles"`
	}
	switch err := into(command, &in); {
	case err != nil:
		return failure(errBadValue, err.Error())
	case in.Roles == nil:
		return failure(errBadValue, "a role needs roles")
	case !s.may(c, "createRole", db):
		return denied(db, "createRole")
	}
	s.roles[id{name, db}] = in.Privileges
	return success()
}

func (s *Server) grantRoles(c *conn, db string, command bson.D) bson.D {
	name, _ := command[0].Value.(string)
	var in struct {
		Roles []Role `bson:"roles"`
	}
	old := s.users[id{name, db}]
	switch err := into(command, &in); {
	case err != nil:
		return failure(errBadValue, err.Error())
	case !s.may(c, "grantRole", db):
		return denied(db, "grantRolesToUser")
	case old == nil:
		return failure(errUserNotFound, fmt.Sprintf("User %q not found", name+"@"+db))
	}
	u := *old
	u.Roles = append(slices.Clone(u.Roles), in.Roles...)
	s.users[id{name, db}] = &u
	return success()
}

package circle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"redhen/appliance/account"
	"redhen/provision/ident"
	"redhen/provision/pair"
	"redhen/provision/wire"
	"redhen/raftnode/directory"
)

// The reasons of a JoinError.
const (
	HouseThere = "house-there" // a house of that name has a box already
	NoHouse    = "no-house"    // the box is said to stand with another one, but there is no such house
	LoginThere = "login-there" // an account of that login exists, and has another password
	LoginBare  = "login-bare"  // an account of that login exists, but nothing to sign with
)

// JoinError says that a box cannot join as it was told to, before anybody was asked.
type JoinError struct {
	Reason string
	Name   string     // of the house, or the login
	Guide  pair.Guide // how it is in the circle
}

// Error names the reason.
func (e *JoinError) Error() string { return fmt.Sprintf("join: %s: %q", e.Reason, e.Name) }

// words is what a person reads.
func (e *JoinError) words() Words {
	say := func(what, do string) Words {
		return Words{Code: e.Reason, Sentence: what + unchanged + do, Key: "join." + e.Reason, About: []any{"name", e.Name, "houses", listed(e.houses())}}
	}
	switch e.Reason {
	case HouseThere:
		return say(fmt.Sprintf("The circle has a house called %s already.", e.Name),
			"If this box stands there too, say that it is the same house; else give its house another name.")
	case NoHouse:
		return say(fmt.Sprintf("The circle has no house called %s with a box in it.", e.Name),
			"Its houses are "+listed(e.houses())+". Name one of them, or say that this is a new house.")
	case LoginBare:
		return say(fmt.Sprintf("Somebody in the circle logs in as %s, but that account cannot keep a box yet.", e.Name),
			"If that is you, change your password once at any box of the circle and try again; else choose another login name.")
	}
	return say(fmt.Sprintf("Somebody in the circle logs in as %s already, with another password.", e.Name),
		"If that is you, type the password of that account; else choose another login name.")
}

func (e *JoinError) houses() (names []string) {
	for _, h := range e.Guide.Houses {
		names = append(names, h.Name)
	}
	return names
}

// listed is "Mill Lane, Oak Street and Elm Road".
func listed(names []string) string {
	if n := len(names) - 1; n > 0 {
		return strings.Join(names[:n], ", ") + " and " + names[n]
	}
	return strings.Join(names, "")
}

// guide is what a joiner that has proved its ticket is told; for pair.
func (c *Circle) guide(login string) (g pair.Guide) {
	err := c.look(func(v directory.View) error {
		r := v.Roster()
		for _, h := range r.Houses() {
			if len(h.Boxes) > 0 {
				g.Houses = append(g.Houses, pair.House{ID: h.ID, Name: h.Name})
			}
		}
		for _, b := range r.Members() {
			if a, ok := v.Account(b.Keeper); ok && !slices.Contains(g.Keepers, a.Name) {
				g.Keepers = append(g.Keepers, a.Name)
			}
		}
		slices.Sort(g.Keepers)
		if a, ok := v.AccountByName(account.CleanName(login)); ok {
			g.Known = &pair.Known{ID: a.ID, Key: a.KeeperKey, Sealed: a.SealedKey}
		}
		return nil
	})
	if err != nil {
		c.log.Warn("guide a joiner", "err", err)
	}
	return g
}

// applicant fits what a person typed to the circle that the ticket leads to.
type applicant struct {
	c      *Circle
	place  Place
	keeper Person
	fresh  *directory.Account // made once, when the login is new there
}

// fit completes the application; for pair.Join. An account that the circle has is
// used when its password was typed; no other is made under that login.
func (a *applicant) fit(ctx context.Context, g pair.Guide, app pair.Application) (pair.Application, ident.Key, error) {
	if !g.In { // else it is what stands there
		if err := a.stand(g, &app); err != nil {
			return app, ident.Key{}, err
		}
	}
	if g.Known == nil || a.fresh != nil && a.fresh.ID == g.Known.ID { // or let in a moment ago
		return a.new(ctx, app)
	}
	login := app.KeeperName
	if len(g.Known.Key) == 0 || len(g.Known.Sealed) == 0 {
		return app, ident.Key{}, &JoinError{LoginBare, login, g}
	}
	key, err := a.c.cfg.Hasher.OpenKeeper(ctx, g.Known.Sealed, a.keeper.Password)
	if errors.Is(err, account.ErrWrong) {
		return app, ident.Key{}, &JoinError{LoginThere, login, g}
	}
	if err != nil {
		return app, ident.Key{}, err
	}
	app.Keeper, app.KeeperKey, app.Account = g.Known.ID, g.Known.Key, nil
	return app, key, nil
}

// stand puts the box into the house that is meant.
func (a *applicant) stand(g pair.Guide, app *pair.Application) error {
	i := slices.IndexFunc(g.Houses, func(h pair.House) bool { return strings.EqualFold(h.Name, a.place.House) })
	switch {
	case a.place.SameHouse && i < 0:
		return &JoinError{NoHouse, a.place.House, g}
	case a.place.SameHouse:
		app.House, app.HouseName = g.Houses[i].ID, g.Houses[i].Name
	case i >= 0:
		return &JoinError{HouseThere, g.Houses[i].Name, g}
	}
	return nil
}

// new makes the keeper's account, to be added to the circle.
func (a *applicant) new(ctx context.Context, app pair.Application) (pair.Application, ident.Key, error) {
	if a.fresh == nil {
		acc, err := a.c.cfg.Hasher.NewKeeperAccount(ctx, app.KeeperName, a.keeper.FullName, a.keeper.Password)
		if err != nil {
			return app, ident.Key{}, err
		}
		acc.Created, acc.Space = a.c.cfg.Now().UnixMilli(), ident.NewShardID()
		a.fresh = &acc
	}
	record, err := wire.Marshal(*a.fresh)
	app.Keeper, app.KeeperKey, app.Account = a.fresh.ID, a.fresh.KeeperKey, record
	return app, ident.Key{}, err
}

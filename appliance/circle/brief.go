package circle

import (
	"fmt"

	"redhen/provision/roster"
	"redhen/raftnode/directory"
)

// ErrConfirm says that the name that was typed is not that of the house.
var ErrConfirm = fmt.Errorf("not the name of the house")

// Lost is a box that somebody wants to declare gone.
type Lost struct {
	Box   roster.Box
	House string
	Needs int // keepers who must say so
}

// Lost finds a box that may be declared gone or, when stolen, as stolen, which it may be
// when it has left, too; ErrNoBox when there is none of the name.
func (c *Circle) Lost(box string, stolen bool) (l Lost, err error) {
	kind := roster.Gone
	if stolen {
		kind = roster.Stolen
	}
	body, err := c.goneBody(kind, box, "")
	if err != nil {
		return l, err
	}
	err = c.look(func(v directory.View) error {
		l.Box, _ = v.Roster().Box(body.Box)
		h, _ := v.Roster().House(l.Box.House)
		l.House, l.Needs = h.Name, v.Roster().NeedsSignatures(body)
		return nil
	})
	return l, err
}

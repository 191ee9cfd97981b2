package web

import (
	"cmp"
	"encoding/hex"
	"strings"
	"time"

	"redhen/appliance/web/page"
	"redhen/provision/p2p/localname"
	"redhen/raftnode/directory"
)

// door is an address at which the circle answers, and where it works.
type door struct{ House, URL string }

// doors lists the addresses of all boxes for a path. A name on the local network
// works in its house alone.
func (q *request) doors(path string) (list []door) {
	r := q.cfg.Circle.Roster()
	if r == nil {
		return nil
	}
	for _, h := range r.Houses() {
		for _, id := range h.Boxes {
			b, ok := r.Box(id)
			if label := localname.Label(b.Name); ok && label != "" {
				list = append(list, door{h.Name, "http://" + label + ".local" + path})
			}
		}
	}
	return list
}

func compareNames(a, b string) int { return cmp.Compare(strings.ToLower(a), strings.ToLower(b)) }

// openInvitation is an invitation to a person that holds.
type openInvitation struct{ ID, Name, By, Until string }

func (q *request) openInvitations() (list []openInvitation, err error) {
	open, err := q.cfg.Circle.Invitations()
	people := q.people()
	for _, i := range open {
		list = append(list, openInvitation{hashID(i), orElse(i.FullName, i.Name), people[i.By], q.When(timeOf(i.Expires))})
	}
	return list, err
}

// uninvite takes an invitation back.
func (q *request) uninvite() error {
	if !q.IsKeeper() {
		return q.KeepersOnly()
	}
	f, err := q.Form()
	if err != nil {
		return err
	}
	open, err := q.cfg.Circle.Invitations()
	if err != nil {
		return err
	}
	for _, i := range open {
		if hashID(i) == f.Get("which") {
			if err := q.cfg.Circle.Uninvite(q.R.Context(), i.Hash, q.Who.Account); err != nil {
				return err
			}
		}
	}
	q.Tell("/circle", page.Note{Text: q.Say("invite.revoked")})
	return nil
}

func hashID(i directory.Invite) string { return hex.EncodeToString(i.Hash[:8]) }

// timeOf reads a time that is stored in milliseconds.
func timeOf(ms int64) time.Time { return time.UnixMilli(ms) }

package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"redhen/appliance/circle"
	"redhen/appliance/giftcard"
	"redhen/appliance/words"
	"redhen/images/flash"
	"redhen/provision/seed"
)

// GiftOrder asks for the seed of a box that is made for a friend.
type GiftOrder struct {
	House  string `json:"house"`
	Box    string `json:"box"`
	Keeper string `json:"keeper"`           // login name of whom it is for
	Waived bool   `json:"waived,omitempty"` // let it in without asking again
	Wifi   []Wifi `json:"wifi,omitempty"`
	// Onto is the device of a card in a reader of this box, which is written from this
	// box's own slot; empty: none is. AnyDisk takes one that does not look like a card.
	Onto    string `json:"onto,omitempty"`
	AnyDisk bool   `json:"any-disk,omitempty"`
}

// Wifi is a network of the house that the gift goes to.
type Wifi struct {
	SSID     string `json:"ssid"`
	Password string `json:"password,omitempty"`
	Country  string `json:"country,omitempty"` // two letters
	Hidden   bool   `json:"hidden,omitempty"`
}

// Gift is a box to be made. It holds secrets: it is handed on, never logged.
type Gift struct {
	Seed    string    `json:"seed,omitempty"`    // the redhen.toml for its card; empty when that is written
	Written string    `json:"written,omitempty"` // the card that was written, in words
	Code    string    `json:"code"`              // claims the box; it belongs on paper
	Ticket  string    `json:"ticket"`
	Expires time.Time `json:"expires"`
	Card    string    `json:"card"` // a page to print, without the ticket
}

func (s *server) gift(r *http.Request) (any, error) {
	var o GiftOrder
	if err := decode(r, &o); err != nil {
		return nil, err
	}
	order := circle.Gift{Place: circle.Place{House: o.House, Box: o.Box}, Keeper: o.Keeper, Waived: o.Waived}
	for _, w := range o.Wifi {
		n, wrong := seed.NewWifi(w.SSID, w.Password, w.Country)
		if wrong != "" || len(order.Wifi) == seed.MaxNetworks {
			return nil, &Error{CodeBadRequest, words.English().Say("wifi.wrong." + orElse(string(wrong), "many"))}
		}
		n.Hidden = w.Hidden
		order.Wifi = append(order.Wifi, n)
	}
	onto, err := s.look(o)
	if err != nil {
		return nil, err
	}
	p, err := s.Circle.Gift(order)
	if err != nil {
		return nil, err
	}
	if o.Onto != "" {
		if err := s.Bakery.Bake(r.Context(), onto, p.Seed); err != nil {
			s.Logger.Warn("bake card", "onto", onto.Path, "err", err)
			return nil, &Error{CodeCard, flash.Explain(errors.Join(err, s.Circle.Desk().Revoke(p.Ticket)))} // nobody will use it
		}
	}
	card := giftcard.Card{
		House: o.House, Circle: s.Circle.Roster().Name(), Giver: s.keeperName(), Code: p.Code, Expires: p.Expires, Waived: o.Waived,
		Setup: p.Seed.SetupName(), SetupPassword: string(p.Seed.Setup),
	}
	if len(order.Wifi) > 0 {
		card.Wifi = order.Wifi[0].SSID
	}
	page, err := giftcard.HTML(card, words.English())
	g := Gift{Written: onto.Words, Code: p.Code, Ticket: p.Ticket, Expires: p.Expires, Card: string(page)}
	if o.Onto == "" {
		g.Seed = string(seed.Render(p.Seed))
	}
	return g, err
}

// Bakery writes cards at this box; flash.Bakery does.
type Bakery interface {
	Cards() []flash.Target
	Look(path string, anyDisk bool) (flash.Target, error)
	Bake(ctx context.Context, onto flash.Target, s seed.Seed) error
}

var _ Bakery = flash.Bakery{}

// CodeCard is the code of errors about a card that was to be written.
const CodeCard = "card"

// look judges the card of an order, before anything else is done.
func (s *server) look(o GiftOrder) (flash.Target, error) {
	if o.Onto == "" {
		return flash.Target{}, nil
	}
	if s.Bakery == nil {
		return flash.Target{}, &Error{CodeCard, "This box does not run from a card, so it cannot make another from itself. Nothing was changed. Use redhen flash with an image."}
	}
	t, err := s.Bakery.Look(o.Onto, o.AnyDisk)
	if err != nil {
		return t, &Error{CodeCard, err.Error()}
	}
	return t, nil
}

// Card is a disk in this box that a card could be written to.
type Card struct {
	Device string `json:"device"`
	Words  string `json:"words"` // "card SD32G, 29.7 GiB"
	Sure   bool   `json:"sure"`  // it looks like a card
}

func (s *server) cards(*http.Request) (any, error) {
	list := []Card{}
	if s.Bakery == nil {
		return list, nil
	}
	for _, t := range s.Bakery.Cards() {
		list = append(list, Card{t.Path, t.Words, t.Sure})
	}
	return list, nil
}

// Cards lists the disks that Gift could write to.
func (c *Client) Cards(ctx context.Context) ([]Card, error) {
	return got[[]Card](ctx, c, "GET", "/v1/cards", nil)
}

// keeperName is what friends call the keeper of this box, empty when that is not known.
func (s *server) keeperName() string {
	id, err := s.keeper()
	if err != nil {
		return ""
	}
	all, _ := s.Circle.Accounts() // without them there is no name
	for _, a := range all {
		if a.ID == id {
			return orElse(a.FullName, a.Name)
		}
	}
	return ""
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// Gift makes the seed of a box for a friend, with a ticket that lives 30 days, and
// writes the card where the order names one; that takes minutes.
func (c *Client) Gift(ctx context.Context, o GiftOrder) (Gift, error) {
	return got[Gift](ctx, c, "POST", "/v1/gifts", o)
}

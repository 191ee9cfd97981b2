package api

import (
	"context"
	"net/http"
	"time"

	"redhen/appliance/circle"
	"redhen/provision/giftcard"
	"redhen/provision/seed"
)

// GiftOrder asks for the seed of a box that is made for a friend.
type GiftOrder struct {
	House  string `json:"house"`
	Box    string `json:"box"`
	Keeper string `json:"keeper"`           // login name of whom it is for
	Waived bool   `json:"waived,omitempty"` // let it in without asking again
	Wifi   []Wifi `json:"wifi,omitempty"`
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
	Seed    string    `json:"seed"` // the redhen.toml for its card
	Code    string    `json:"code"` // claims the box; it belongs on paper
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
			return nil, &Error{CodeBadRequest, "The Wi-Fi “" + w.SSID + "” cannot be put onto the card: " + orElse(wrong, "there are too many") + ". Nothing was changed. Correct it and try again."}
		}
		n.Hidden = w.Hidden
		order.Wifi = append(order.Wifi, n)
	}
	p, err := s.Circle.Gift(order)
	if err != nil {
		return nil, err
	}
	card := giftcard.Card{
		House: o.House, Circle: s.Circle.Roster().Name(), Giver: s.keeperName(), Code: p.Code, Expires: p.Expires, Waived: o.Waived,
		Setup: p.Seed.SetupName(), SetupPassword: string(p.Seed.Setup),
	}
	if len(order.Wifi) > 0 {
		card.Wifi = order.Wifi[0].SSID
	}
	page, err := giftcard.HTML(card)
	return Gift{string(seed.Render(p.Seed)), p.Code, p.Ticket, p.Expires, string(page)}, err
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

// Gift makes the seed of a box for a friend, with a ticket that lives 30 days.
func (c *Client) Gift(ctx context.Context, o GiftOrder) (Gift, error) {
	return got[Gift](ctx, c, "POST", "/v1/gifts", o)
}

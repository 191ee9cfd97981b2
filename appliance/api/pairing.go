package api

import (
	"fmt"
	"net/http"
	"time"

	"redhen/appliance/circle"
	"redhen/provision/ident"
	"redhen/provision/pair"
)

func (k Keeper) person() circle.Person {
	return circle.Person{Login: k.Login, FullName: k.FullName, Password: k.Password}
}

func (s *server) found(r *http.Request) (any, error) {
	var f Found
	if err := decode(r, &f); err != nil {
		return nil, err
	}
	err := s.Circle.Found(r.Context(), f.Circle, circle.Place{House: f.House, Box: f.Box}, f.Keeper.person())
	return nil, err
}

// join streams its steps, a line each, until the box is in the circle or was refused.
func (s *server) join(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	var j Join
	if err := decode(r, &j); err != nil {
		s.answer(w, nil, err)
		return
	}
	tell := telling[Step](w)
	err := s.Circle.Join(r.Context(), j.Ticket, circle.Place{House: j.House, Box: j.Box, SameHouse: j.SameHouse}, j.Keeper.person(),
		func(p pair.Progress) { tell(stepOf(p)) })
	if err != nil {
		tell(Step{Error: s.trouble("join", err)})
		return
	}
	tell(Step{Done: true})
}

func stepOf(p pair.Progress) Step {
	step := Step{Stage: StageConnecting, Circle: p.CircleName, Inviter: p.Inviter, Words: wordsOf(p.Words)}
	switch p.Stage {
	case pair.Waiting:
		step.Stage, step.Keepers, step.Known = StageWaiting, p.Guide.Keepers, p.Guide.Known != nil
		for _, h := range p.Guide.Houses {
			step.Houses = append(step.Houses, h.Name)
		}
	case pair.Admitted:
		step.Stage = StageAdmitted
	}
	if p.Err != nil {
		step.Trouble = p.Err.Error()
	}
	return step
}

func wordsOf(words []pair.Word) (list []Word) {
	for _, w := range words {
		list = append(list, Word{w.Picture, w.Text})
	}
	return list
}

func (s *server) inviteBox(r *http.Request) (any, error) {
	var ask BoxInvite
	if err := decode(r, &ask); err != nil {
		return nil, err
	}
	life := time.Duration(ask.Seconds) * time.Second
	if ask.Seconds < 0 || ask.Seconds > int64(pair.GiftTTL/time.Second) {
		return nil, &Error{CodeBadRequest, "An invite lives 30 days at most. Nothing was changed. Choose a shorter time."}
	}
	if life == 0 {
		life = pair.ScreenTTL
	}
	t, err := s.Circle.Invite(pair.Terms{TTL: life, Waived: ask.Waived})
	if err != nil {
		return nil, err
	}
	return Ticket{t.ID(), t.Text(), t.Link(), time.Now().Add(life)}, nil
}

func (s *server) inviteAccount(r *http.Request) (any, error) {
	var ask PersonInvite
	if err := decode(r, &ask); err != nil {
		return nil, err
	}
	by, err := s.keeper()
	if err != nil {
		return nil, err
	}
	inv, err := s.Circle.InviteAccount(r.Context(), by, ask.Login, ask.FullName)
	return Invitation{inv.Code, inv.Expires}, err
}

// keeper is the account that keeps this box: what is done through the socket counts as done by it.
func (s *server) keeper() (ident.AccountID, error) {
	roster := s.Circle.Roster()
	if roster == nil {
		return "", circle.ErrNoCircle
	}
	me, _ := roster.Box(s.Box().ID)
	return me.Keeper, nil
}

func (s *server) invites(*http.Request) (any, error) {
	list := Invites{Waiting: []Waiting{}, Tickets: []Issued{}}
	for _, p := range s.Circle.Desk().Pending() {
		list.Waiting = append(list.Waiting, Waiting{
			Box: p.Application.BoxName, ID: p.Box, House: p.Application.HouseName, Keeper: p.Application.KeeperName,
			Ticket: p.Ticket, Gift: p.Application.Gift, Words: wordsOf(p.Words), Since: p.Since, Known: p.Known, SameHouse: p.SameHouse,
		})
	}
	for _, r := range s.Home.Returns() {
		list.Waiting = append(list.Waiting, Waiting{Box: r.Name, ID: r.Box, House: r.House, Since: r.Since, Words: []Word{}, Back: true})
	}
	for _, t := range s.Circle.Desk().Tickets() {
		list.Tickets = append(list.Tickets, Issued{t.ID, stateWord(t), t.Made, t.Expires, t.Waived, t.Wrong, t.Gift})
	}
	return list, nil
}

func stateWord(t pair.Issued) string {
	switch t.State {
	case pair.UsedUp:
		return "used"
	case pair.TakenBack:
		return "revoked"
	case pair.TriedTooOften:
		return "burnt"
	}
	if !time.Now().Before(t.Expires) {
		return "expired"
	}
	return "open"
}

func (s *server) revoke(r *http.Request) (any, error) {
	return nil, s.Circle.Desk().Revoke(r.PathValue("ticket"))
}

func (s *server) approve(r *http.Request) (any, error) {
	id, back, err := s.waiting(r.PathValue("box"))
	switch {
	case err != nil:
		return nil, err
	case back:
		return nil, s.Home.LetIn(r.Context(), id)
	}
	return nil, s.Circle.Desk().Approve(r.Context(), id)
}

func (s *server) reject(r *http.Request) (any, error) {
	id, back, err := s.waiting(r.PathValue("box"))
	switch {
	case err != nil:
		return nil, err
	case back:
		return nil, s.Home.Refuse(id)
	}
	return nil, s.Circle.Desk().Reject(id)
}

// waiting finds the one waiting box of a name or an ID; back says that it was a member.
func (s *server) waiting(name string) (found ident.BoxID, back bool, err error) {
	type waiter struct {
		box  ident.BoxID
		name string
		back bool
	}
	var all []waiter
	for _, p := range s.Circle.Desk().Pending() {
		all = append(all, waiter{p.Box, p.Application.BoxName, false})
	}
	for _, r := range s.Home.Returns() {
		all = append(all, waiter{r.Box, r.Name, true})
	}
	for _, p := range all {
		if name != string(p.box) && name != p.box.Short() && name != p.name {
			continue
		}
		if found != "" {
			return "", false, &Error{CodeBadRequest, fmt.Sprintf("Two boxes that call themselves %q are waiting. Nobody was let in. Name the right one by its ID.", name)}
		}
		found, back = p.box, p.back
	}
	if found == "" {
		return "", false, pair.ErrNotPending
	}
	return found, back, nil
}

func (s *server) keep(r *http.Request) (any, error) {
	var k Keep
	if err := decode(r, &k); err != nil {
		return nil, err
	}
	key, err := s.Circle.KeeperKey(r.Context(), k.Keeper, k.Password)
	if err != nil {
		return nil, err
	}
	return nil, s.Home.Keep(k.House, key)
}

func (s *server) takeover(r *http.Request) (any, error) {
	var k Takeover
	if err := decode(r, &k); err != nil {
		return nil, err
	}
	return nil, s.Circle.TakeOver(r.Context(), k.Houses, k.Keeper, k.Password)
}

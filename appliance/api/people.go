package api

import (
	"net/http"
	"slices"
	"time"

	"redhen/appliance/circle"
	"redhen/provision/ident"
)

func (s *server) accounts(*http.Request) (any, error) {
	all, err := s.Circle.Accounts()
	if err != nil {
		return nil, err
	}
	boxes := map[ident.AccountID][]string{}
	for _, b := range s.Circle.Roster().Members() {
		boxes[b.Keeper] = append(boxes[b.Keeper], b.Name)
	}
	spaces, err := s.Spaces.All()
	if err != nil {
		return nil, err
	}
	list := []Account{}
	for _, a := range all {
		one := Account{
			Login: a.Name, ID: a.ID, FullName: a.FullName, Boxes: boxes[a.ID],
			Devices: len(a.Devices), Created: time.UnixMilli(a.Created),
		}
		for _, sp := range spaces {
			if sp.ID == a.Space {
				one.Space = sp.Name
			}
		}
		list = append(list, one)
	}
	return list, nil
}

// logins maps the accounts to their login names.
func (s *server) logins() (map[ident.AccountID]string, error) {
	all, err := s.Circle.Accounts()
	names := map[ident.AccountID]string{}
	for _, a := range all {
		names[a.ID] = a.Name
	}
	return names, err
}

func (s *server) addAccount(r *http.Request) (any, error) {
	var n NewAccount
	if err := decode(r, &n); err != nil {
		return nil, err
	}
	by, err := s.keeper()
	if err != nil {
		return nil, err
	}
	a, err := s.Circle.AddAccount(r.Context(), by, circle.Person{Login: n.Login, FullName: n.FullName, Password: n.Password})
	return Account{Login: a.Name, ID: a.ID, FullName: a.FullName, Space: a.Name, Created: time.UnixMilli(a.Created)}, err
}

func (s *server) removeAccount(r *http.Request) (any, error) {
	return nil, s.Circle.RemoveAccount(r.Context(), r.PathValue("login"))
}

func (s *server) setPassword(r *http.Request) (any, error) {
	var p NewPassword
	if err := decode(r, &p); err != nil {
		return nil, err
	}
	login := r.PathValue("login")
	if p.Old != "" {
		return nil, s.Circle.SetPassword(r.Context(), login, p.Old, p.Password)
	}
	return nil, s.Circle.ResetPassword(r.Context(), login, p.Password)
}

func (s *server) devices(r *http.Request) (any, error) {
	a, err := s.Circle.Account(r.PathValue("login"))
	list := []Device{}
	for _, d := range a.Devices {
		list = append(list, Device{ID: d.ID, Label: d.Name, Created: time.UnixMilli(d.Created)})
	}
	slices.SortFunc(list, func(a, b Device) int { return a.Created.Compare(b.Created) })
	return list, err
}

func (s *server) addDevice(r *http.Request) (any, error) {
	var d Device
	if err := decode(r, &d); err != nil {
		return nil, err
	}
	id, password, err := s.Circle.AddDevice(r.Context(), r.PathValue("login"), d.Label)
	return Device{ID: id, Label: d.Label, Created: time.Now(), Password: password}, err
}

func (s *server) removeDevice(r *http.Request) (any, error) {
	return nil, s.Circle.RemoveDevice(r.Context(), r.PathValue("login"), r.PathValue("id"))
}

package circle

import (
	"bytes"
	"slices"
	"testing"

	"redhen/appliance/account"
	"redhen/provision/ident"
	"redhen/provision/pair"
)

func TestAJoinerIsGuided(t *testing.T) {
	w := founded(t)
	w.admitBox("Oak Street", "oak", "ben")
	if _, err := w.AddAccount(t.Context(), "", somebody("mia")); err != nil {
		t.Fatal(err)
	}
	g := w.guide("nobody")
	if len(g.Houses) != 2 || !slices.Equal(g.Keepers, []string{"anna", "ben"}) || g.Known != nil {
		t.Errorf("guide %+v", g)
	}
	for _, login := range []string{" Anna", "mia"} { // with a box and without
		g := w.guide(login)
		if g.Known == nil {
			t.Fatalf("%s is not known", login)
		}
		key, err := w.cfg.Hasher.OpenKeeper(t.Context(), g.Known.Sealed, password(account.CleanName(login)))
		if err != nil || !bytes.Equal(key.Public(), g.Known.Key) {
			t.Errorf("%s: %v", login, err)
		}
	}
	if g := newWorld(t).guide("anna"); g.Known != nil || len(g.Houses) > 0 {
		t.Errorf("a box in no circle says %+v", g)
	}
}

// What was typed fits the circle, or a person is told why not.
func TestAnApplicationFitsTheCircle(t *testing.T) {
	w := founded(t)
	g := w.guide("anna")
	fresh := newWorld(t)
	fit := func(place Place, login, password string, g pair.Guide) (pair.Application, ident.Key, error) {
		who := applicant{c: fresh.Circle, place: place, keeper: Person{Login: login, Password: password}}
		return who.fit(t.Context(), g, pair.Application{House: "fresh", HouseName: place.House, KeeperName: login})
	}
	oak, same := Place{House: "Oak Street"}, Place{House: "MILL LANE", SameHouse: true}
	app, key, err := fit(oak, "anna", password("anna"), g)
	if err != nil || len(app.Account) > 0 || app.Keeper != g.Known.ID || app.House != "fresh" || key.IsZero() {
		t.Errorf("a known keeper in a new house: %+v, %v", app, err)
	}
	if app, _, err = fit(same, "anna", password("anna"), g); err != nil || app.House != g.Houses[0].ID || app.HouseName != "Mill Lane" {
		t.Errorf("in the same house: %+v, %v", app, err)
	}
	if app, key, err = fit(oak, "ben", password("ben"), w.guide("ben")); err != nil || len(app.Account) == 0 || !key.IsZero() {
		t.Errorf("a new keeper: %+v, %v", app, err)
	}
	in := g
	in.In = true
	if _, _, err = fit(Place{House: "Mill Lane"}, "anna", password("anna"), in); err != nil {
		t.Errorf("let in already: %v", err)
	}
	bare := g
	bare.Known = &pair.Known{ID: g.Known.ID}
	for code, try := range map[string]func() error{
		HouseThere: func() error {
			_, _, err := fit(Place{House: "mill lane"}, "ben", password("ben"), w.guide("ben"))
			return err
		},
		NoHouse: func() error {
			_, _, err := fit(Place{House: "Oak Street", SameHouse: true}, "anna", password("anna"), g)
			return err
		},
		LoginThere:      func() error { _, _, err := fit(oak, "anna", "some other password", g); return err },
		LoginBare:       func() error { _, _, err := fit(oak, "anna", password("anna"), bare); return err },
		"weak-password": func() error { _, _, err := fit(oak, "ben", "12345678", w.guide("ben")); return err },
	} {
		fresh.wants(code, try(), code)
	}
}

// A broken connection begins anew with the same account, also when the circle let it
// in meanwhile.
func TestANewKeeperIsMadeOnce(t *testing.T) {
	w := newWorld(t)
	who := applicant{c: w.Circle, place: Place{House: "Oak Street"}, keeper: somebody("ben")}
	base := pair.Application{KeeperName: "ben"}
	first, _, err := who.fit(t.Context(), pair.Guide{}, base)
	if err != nil {
		t.Fatal(err)
	}
	again, key, err := who.fit(t.Context(), pair.Guide{Known: &pair.Known{ID: first.Keeper}}, base)
	if err != nil || !key.IsZero() || again.Keeper != first.Keeper || !bytes.Equal(again.Account, first.Account) {
		t.Errorf("%+v, then %+v, %v", first, again, err)
	}
}

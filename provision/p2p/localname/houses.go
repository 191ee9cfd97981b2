package localname

import (
	"redhen/provision/ident"
	"redhen/provision/roster"
)

// Houses are the labels of the houses below a circle's public name, and their boxes. Of
// two houses with the same label the one that came first has it.
func Houses(r *roster.State) map[string][]ident.BoxID {
	list := map[string][]ident.BoxID{}
	if r == nil {
		return list
	}
	owner := map[string]ident.HouseID{}
	for _, h := range r.Houses() {
		label := Label(h.Name)
		if _, taken := owner[label]; label != "" && !taken {
			owner[label] = h.ID
		}
	}
	for _, b := range r.Members() {
		h, _ := r.House(b.House)
		if label := Label(h.Name); owner[label] == b.House && label != "" {
			list[label] = append(list[label], b.ID)
		}
	}
	return list
}

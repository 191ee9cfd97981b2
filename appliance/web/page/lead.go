package page

import "redhen/appliance/status"

// Lead is the page on which a person does the one thing that helps against a fault.
type Lead struct{ Path, Key string } // Key is that of the text on its button

// leads are the faults that have such a page.
func leads() map[status.Code]Lead {
	return map[status.Code]Lead{
		status.CodeParted:        {"/circle/sides", "go.sides"},
		status.CodeReturned:      {"/circle/home", "go.home"},
		status.CodeOneHouse:      {"/invite/box", "go.invite"},
		status.CodeFewHouses:     {"/invite/box", "go.invite"},
		status.CodeHouseAway:     {"/circle", "go.circle"},
		status.CodeSilent:        {"/circle", "go.circle"},
		status.CodeApart:         {"/circle", "go.circle"},
		status.CodePetition:      {"/circle", "go.circle"},
		status.CodeDrill:         {"/circle/drill", "go.drill"},
		status.CodeStolen:        {"/me", "go.me"},
		status.CodeWifi:          {"/wifi", "go.wifi"},
		status.CodeSameHouse:     {"/box/care", "go.same"},
		status.CodeNameStolen:    {"/circle/name", "go.name"},
		status.CodeNameToken:     {"/circle/name", "go.name"},
		status.CodeNameElsewhere: {"/circle/name", "go.name"},
	}
}

// lead returns where to go about a fault, nil for those that have no page.
func lead(code status.Code) *Lead {
	if l, ok := leads()[code]; ok {
		return &l
	}
	return nil
}

"""The sounding-pitch grid as an objective: four voices at every 16th, the text of the JSB Chorales benchmark."""

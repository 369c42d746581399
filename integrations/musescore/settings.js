// Where `descant serve` listens, and its token if it has one.
var address = "http://127.0.0.1:7870/v1";
var token = "";
